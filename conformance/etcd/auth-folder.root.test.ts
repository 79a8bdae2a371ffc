/** Users, roles and passwords move with the folder: the reference's to ours, ours to the reference's, stopped or killed. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Auth, AuthUserAddRequest, KV, PutRequest } from '#api-etcd/gen/rpc.ts';
import { systemClock } from '#host/clock.ts';
import type { CallOptions, Channel } from '#rpc/call.ts';
import { connectRpc } from '#rpc/client.ts';
import { startEtcdProcess } from '#testkit/etcd-process.ts';
import { referenceBinary } from '#testkit/reference.ts';
import { parseTarget } from '#transport/dial.ts';
import { plain } from './script.ts';

const timeout = 90_000;
const { methods } = Auth;
const reference = [referenceBinary('etcd-server', 'etcd')];
const ours = [new URL('../../bin/wherry', import.meta.url).pathname, 'etcd'];
const bytes = (text: string) => Buffer.from(text);

async function as(channel: Channel, name: string): Promise<CallOptions> {
  const { token } = await channel.unary(methods.authenticate, { name, password: `${name}'s` });
  return { metadata: [['token', token]] };
}

async function setUp(channel: Channel): Promise<void> {
  const add = (name: string, more: Partial<AuthUserAddRequest> = {}) =>
    channel.unary(methods.userAdd, AuthUserAddRequest.create({ name, password: `${name}'s`, ...more }));
  for (const name of ['root', 'anna', 'wolf']) await add(name);
  await add('certificate', { password: '', options: { noPassword: true } });
  await channel.unary(methods.roleAdd, { name: 'r' });
  for (const [key, rangeEnd, permType] of [
    ['a', '', 0],
    ['b', 'd', 1],
    ['\xff\x00', '\0', 2],
  ] as const)
    await channel.unary(methods.roleGrantPermission, {
      name: 'r',
      perm: { permType, key: Buffer.from(key, 'latin1'), rangeEnd: Buffer.from(rangeEnd) },
    });
  await channel.unary(methods.userGrantRole, { user: 'anna', role: 'r' });
  await channel.unary(methods.userGrantRole, { user: 'root', role: 'root' });
  await channel.unary(methods.authEnable, {});
}

/** Everything that is to be seen, by who may see it; one more change each time. */
async function look(channel: Channel): Promise<unknown> {
  const root = await as(channel, 'root');
  const anna = await as(channel, 'anna');
  await channel.unary(KV.methods.put, PutRequest.create({ key: bytes('b') }), anna);
  await assert.rejects(channel.unary(KV.methods.put, PutRequest.create({ key: bytes('a') }), anna));
  await assert.rejects(channel.unary(methods.authenticate, { name: 'certificate', password: '' }));
  const { authRevision, enabled } = await channel.unary(methods.authStatus, {}, root);
  const { users } = await channel.unary(methods.userList, {}, root);
  const roles = await Promise.all(users.map((name) => channel.unary(methods.userGet, { name }, root)));
  const { perm } = await channel.unary(methods.roleGet, { role: 'r' }, root);
  return plain({ authRevision, enabled, users, roles: roles.map(({ roles: its }) => its), perm });
}

for (const signal of ['SIGTERM', 'SIGKILL'] as const)
  for (const [name, commands] of Object.entries({
    'the reference, then ours, then the reference': [reference, ours, reference],
    'ours, then the reference, then ours': [ours, reference, ours],
  }))
    test(`${name} (${signal})`, { timeout }, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'etcd-auth-folder-'));
      let before: unknown;
      try {
        for (const command of commands) {
          await using server = await startEtcdProcess({ command, dataDir: join(folder, 'data') });
          await using channel = connectRpc({ target: parseTarget(server.clientUrl), clock: systemClock });
          if (before === undefined) await setUp(channel);
          const seen = await look(channel);
          before ??= seen;
          assert.deepEqual(seen, before);
          await server.stop(signal);
        }
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
