/** Clients whose cluster changes its users under them: by password and by certificate. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEtcdError } from '#api-etcd/errors.ts';
import { Auth, AuthRoleGrantPermissionRequest, AuthUserAddRequest, KV, RangeRequest } from '#api-etcd/gen/rpc.ts';
import type { TokenOptions } from '#etcd/auth/token-options.ts';
import { type Etcd, startEtcd } from '#etcd/start.ts';
import { systemClock } from '#host/clock.ts';
import type { Channel } from '#rpc/call.ts';
import { utf8Encode as bytes } from '#std/bytes.ts';
import { seededPrng } from '#std/prng.ts';
import { MemoryDisk } from '#storage/memory-disk.ts';
import { AuthenticatedChannel, authenticate } from './authenticated-channel.ts';
import { createEtcdClient } from './client.ts';

const timeout = 20_000;
const clock = systemClock;
const root = { name: 'root', password: 'secret' };
const { methods } = Auth;

/** Signed tokens say of which revision they are: any change of users makes them old. */
const signed: TokenOptions = { kind: 'jwt', signMethod: 'HS256', ttlMs: 60_000, privateKey: Buffer.from('a secret') };

async function start(tokens: TokenOptions): Promise<Etcd> {
  return await startEtcd({
    // With a folder writes wait for the disk: what comes in between is applied first.
    config: { dataDir: 'data', bcryptCost: 4, tokens, certificateNames: true },
    deps: { clock, prng: seededPrng(1), disk: new MemoryDisk(), log: () => {} },
  });
}

async function addRoot(channel: Channel): Promise<void> {
  await channel.unary(methods.userAdd, AuthUserAddRequest.create(root));
  await channel.unary(methods.userGrantRole, { user: 'root', role: 'root' });
}

/** How many calls of a method, by its name, a channel has carried. */
function counting(channel: Channel): { readonly channel: Channel; readonly counts: Map<string, number> } {
  const counts = new Map<string, number>();
  return {
    counts,
    channel: {
      unary(method, request, options) {
        const name = method.path.split('/').at(-1)!;
        counts.set(name, (counts.get(name) ?? 0) + 1);
        return channel.unary(method, request, options);
      },
      open: (method, options) => channel.open(method, options),
      [Symbol.asyncDispose]: () => channel[Symbol.asyncDispose](),
    },
  };
}

test('a token that is of an older revision is asked for again, once for all calls', { timeout }, async () => {
  await using etcd = await start(signed);
  const { channel, counts } = counting(etcd.connect());
  await addRoot(channel);
  await channel.unary(methods.authEnable, {});
  const token = await authenticate(channel, root, {});
  await using mine = new AuthenticatedChannel(channel, { clock, user: root, token });
  await using client = createEtcdClient(mine, clock);
  await client.put({ key: bytes('k') });
  assert.equal(counts.get('Authenticate'), 1);
  await mine.unary(methods.roleAdd, { name: 'another' });
  await Promise.all(['k1', 'k2', 'k3'].map((key) => client.put({ key: bytes(key) })));
  assert.equal(counts.get('Authenticate'), 2);
  // Who has only the token is told.
  const bare = new AuthenticatedChannel(channel, { clock, token });
  await assert.rejects(bare.unary(KV.methods.range, RangeRequest.create({ key: bytes('k') })), (error) =>
    isEtcdError(error, 'authOldRevision'),
  );
});

test('a user is asked for the password when there are users only now, or the token is not known any more', {
  timeout,
}, async () => {
  await using etcd = await start({ kind: 'simple' });
  const { channel, counts } = counting(etcd.connect());
  await addRoot(channel);
  assert.equal(await authenticate(channel, root, {}), undefined);
  await using mine = new AuthenticatedChannel(channel, { clock, user: root });
  await using client = createEtcdClient(mine, clock);
  await client.put({ key: bytes('k') });
  await channel.unary(methods.authEnable, {});
  await mine.unary(methods.roleAdd, { name: 'another' });
  // Whoever's password changes loses their tokens.
  await mine.unary(methods.userChangePassword, { name: 'root', password: 'secret', hashedPassword: '' });
  await client.put({ key: bytes('k') });
  assert.equal(counts.get('Authenticate'), 3);
  await mine.unary(methods.userChangePassword, { name: 'root', password: 'other', hashedPassword: '' });
  await assert.rejects(client.put({ key: bytes('k') }), (error) => isEtcdError(error, 'authFailed'));
});

test('whoever a certificate names only tries again', { timeout }, async () => {
  await using etcd = await start({ kind: 'simple' });
  const setup = etcd.connect();
  await addRoot(setup);
  await setup.unary(methods.userAdd, AuthUserAddRequest.create({ name: 'alice', password: 'x' }));
  await setup.unary(methods.roleAdd, { name: 'writer' });
  const permission = { permType: 2, key: bytes('a'), rangeEnd: bytes('z') } as const;
  await setup.unary(
    methods.roleGrantPermission,
    AuthRoleGrantPermissionRequest.create({ name: 'writer', perm: permission }),
  );
  await setup.unary(methods.userGrantRole, { user: 'alice', role: 'writer' });
  await setup.unary(methods.authEnable, {});
  const connect = (commonName: string) =>
    etcd.connect({ address: '127.0.0.1:1', certificate: { commonName, organizations: [] } });
  const { channel, counts } = counting(connect('alice'));
  await using client = createEtcdClient(channel, clock);
  const administrator = connect('root');
  const added = administrator.unary(methods.roleAdd, { name: 'another' });
  await client.put({ key: bytes('k') });
  await added;
  assert.deepEqual(counts, new Map([['Put', 2]]));
});
