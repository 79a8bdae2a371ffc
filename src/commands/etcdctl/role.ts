/** `etcdctl role add|delete|get|list|grant-permission|revoke-permission`. */
import { type Permission, Permission_Type } from '#api-etcd/gen/auth.ts';
import {
  Auth,
  AuthRoleAddResponse,
  AuthRoleDeleteResponse,
  AuthRoleGetResponse,
  AuthRoleGrantPermissionResponse,
  AuthRoleListResponse,
  AuthRoleRevokePermissionResponse,
} from '#api-etcd/gen/rpc.ts';
import { prefixEnd } from '#etcd-client/client.ts';
import { equalBytes } from '#std/bytes.ts';
import { fields, quote } from './print.ts';
import { printAnswer } from './print-answer.ts';
import { bytes, type Session, type Verb, wrong } from './session.ts';

const { methods } = Auth;
const rangeFlags = {
  prefix: { kind: 'bool', usage: 'a permission for all keys that begin with the key' },
  'from-key': { kind: 'bool', usage: 'a permission for all keys from the key on' },
} as const;

export const roleVerbs: Readonly<Record<string, Verb>> = {
  add: {
    async run(session) {
      const name = one(session, 'role add command requires role name as its argument');
      const answer = await session.channel.unary(methods.roleAdd, { name });
      printAnswer(session, AuthRoleAddResponse, answer, { simple: `Role ${name} created\n`, fields: '' });
    },
  },
  delete: {
    async run(session) {
      const role = one(session, 'role delete command requires role name as its argument');
      const answer = await session.channel.unary(methods.roleDelete, { role });
      printAnswer(session, AuthRoleDeleteResponse, answer, { simple: `Role ${role} deleted\n`, fields: '' });
    },
  },
  get: {
    async run(session) {
      const role = one(session, 'role get command requires role name as its argument');
      printRole(session, role, await session.channel.unary(methods.roleGet, { role }));
    },
  },
  list: {
    async run(session) {
      if (session.args.length > 0) throw wrong('role list command requires no arguments');
      const answer = await session.channel.unary(methods.roleList, {});
      printAnswer(session, AuthRoleListResponse, answer, {
        simple: answer.roles.map((role) => `${role}\n`).join(''),
        fields: `"Roles" :${answer.roles.map((role) => ` ${JSON.stringify(role)}`).join('')}\n`,
      });
    },
  },
  'grant-permission': {
    flags: rangeFlags,
    async run(session) {
      const [name, kind, ...range] = session.args;
      if (name === undefined || kind === undefined || range.length === 0)
        throw wrong('role grant command requires role name, permission type, and key [endkey] as its argument');
      const permType = Object.entries(Permission_Type).find(([type]) => type === kind.toUpperCase())?.[1];
      if (permType === undefined) throw wrong(`invalid permission type: ${kind}`);
      const perm = { permType, ...rangeOf(session, range) };
      const answer = await session.channel.unary(methods.roleGrantPermission, { name, perm });
      printAnswer(session, AuthRoleGrantPermissionResponse, answer, { simple: `Role ${name} updated\n`, fields: '' });
    },
  },
  'revoke-permission': {
    flags: rangeFlags,
    async run(session) {
      const [role, ...range] = session.args;
      if (role === undefined || range.length === 0)
        throw wrong('role revoke-permission command requires role name and key [endkey] as its argument');
      const { key, rangeEnd } = rangeOf(session, range);
      const answer = await session.channel.unary(methods.roleRevokePermission, { role, key, rangeEnd });
      const [from, end] = [range[0]!, Buffer.from(rangeEnd).toString()];
      const what =
        end === '' ? `key ${from}` : end === '\0' ? `range [${from}, <open ended>` : `range [${from}, ${end})`;
      const simple = `Permission of ${what} is revoked from role ${role}\n`;
      printAnswer(session, AuthRoleRevokePermissionResponse, answer, { simple, fields: '' });
    },
  },
};

export function printRole(session: Session, role: string, answer: AuthRoleGetResponse): void {
  const of = (type: Permission_Type) =>
    answer.perm
      .filter(({ permType }) => permType === type || permType === Permission_Type.READWRITE)
      .map((perm) => `\t${rangeText(perm)}\n`)
      .join('');
  printAnswer(session, AuthRoleGetResponse, answer, {
    simple: `Role ${role}\nKV Read:\n${of(Permission_Type.READ)}KV Write:\n${of(Permission_Type.WRITE)}`,
    fields: answer.perm
      .map(({ permType, key, rangeEnd }) => {
        const type = Object.entries(Permission_Type).find(([, value]) => value === permType)![0];
        // Two spaces, as upstream has it.
        return `"PermType" :  ${type}\n${fields([
          ['Key', quote(key)],
          ['RangeEnd', quote(rangeEnd)],
        ])}`;
      })
      .join(''),
  });
}

function rangeText({ key, rangeEnd }: Permission): string {
  const [from, end] = [Buffer.from(key).toString('latin1'), Buffer.from(rangeEnd).toString('latin1')];
  if (end === '') return from;
  const range = end === '\0' ? `[${from}, <open ended>` : `[${from}, ${end})`;
  const isPrefix = equalBytes(from === '' ? Uint8Array.of(0) : prefixEnd(key), rangeEnd);
  return isPrefix ? `${range} (prefix ${from})` : range;
}

function rangeOf(
  { flags }: Session,
  [key = '', end]: readonly string[],
): { readonly key: Buffer; readonly rangeEnd: Uint8Array } {
  const [isPrefix, fromKey] = [flags.bool('prefix'), flags.bool('from-key')];
  const nothing = new Uint8Array(0);
  const open = Uint8Array.of(0);
  if (isPrefix && fromKey && end === undefined) throw wrong('--from-key and --prefix flags are mutually exclusive');
  // The empty key cannot be granted: all keys begin after it.
  if (key === '') return { key: Buffer.of(0), rangeEnd: isPrefix || fromKey ? open : nothing };
  if (end === undefined)
    return { key: bytes(key), rangeEnd: isPrefix ? prefixEnd(bytes(key)) : fromKey ? open : nothing };
  if (isPrefix) throw wrong('unexpected endkey argument with --prefix flag');
  if (fromKey) throw wrong('unexpected endkey argument with --from-key flag');
  return { key: bytes(key), rangeEnd: bytes(end) };
}

function one({ args }: Session, usage: string): string {
  if (args.length !== 1) throw wrong(usage);
  return args[0]!;
}
