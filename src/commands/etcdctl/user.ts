/** `etcdctl user add|delete|get|list|passwd|grant-role|revoke-role`. */
import {
  Auth,
  AuthUserAddRequest,
  AuthUserAddResponse,
  AuthUserChangePasswordResponse,
  AuthUserDeleteResponse,
  AuthUserGetResponse,
  AuthUserGrantRoleResponse,
  AuthUserListResponse,
  AuthUserRevokeRoleResponse,
} from '#api-etcd/gen/rpc.ts';
import { askNewPassword, readPassword } from './password.ts';
import { printAnswer } from './print-answer.ts';
import { printRole } from './role.ts';
import { type Session, type Verb, wrong } from './session.ts';

const { methods } = Auth;
const interactive = {
  kind: 'bool',
  default: 'true',
  usage: 'read password from stdin instead of interactive terminal',
} as const;

export const userVerbs: Readonly<Record<string, Verb>> = {
  add: {
    flags: {
      interactive,
      'new-user-password': { kind: 'string', usage: 'supply password from the command line flag', default: '' },
      'no-password': { kind: 'bool', usage: 'create a user without password (CN based auth only)' },
    },
    async run(session) {
      const given = one(session, 'user add command requires user name as its argument');
      const { name, password } = await newUser(session, given);
      const noPassword = session.flags.bool('no-password');
      const request = AuthUserAddRequest.create({ name, password, options: { noPassword } });
      const answer = await session.channel.unary(methods.userAdd, request);
      printAnswer(session, AuthUserAddResponse, answer, { simple: `User ${name} created\n`, fields: '' });
    },
  },
  delete: {
    async run(session) {
      const name = one(session, 'user delete command requires user name as its argument');
      const answer = await session.channel.unary(methods.userDelete, { name });
      printAnswer(session, AuthUserDeleteResponse, answer, { simple: `User ${name} deleted\n`, fields: '' });
    },
  },
  get: {
    flags: { detail: { kind: 'bool', usage: 'show permissions of roles granted to the user' } },
    async run(session) {
      const name = one(session, 'user get command requires user name as its argument');
      const answer = await session.channel.unary(methods.userGet, { name });
      if (!session.flags.bool('detail')) {
        const roles = answer.roles.map((role) => ` ${role}`).join('');
        printAnswer(session, AuthUserGetResponse, answer, { simple: `User: ${name}\nRoles:${roles}\n` });
        return;
      }
      session.print(`User: ${name}\n`);
      for (const role of answer.roles) {
        session.print('\n');
        printRole(session, role, await session.channel.unary(methods.roleGet, { role }));
      }
    },
  },
  list: {
    async run(session) {
      if (session.args.length > 0) throw wrong('user list command requires no arguments');
      const answer = await session.channel.unary(methods.userList, {});
      printAnswer(session, AuthUserListResponse, answer, { simple: answer.users.map((user) => `${user}\n`).join('') });
    },
  },
  passwd: {
    flags: { interactive },
    async run(session) {
      const name = one(session, 'user passwd command requires user name as its argument');
      const { context, flags } = session;
      const password = flags.bool('interactive') ? await askNewPassword(context, name) : await readPassword(context);
      const answer = await session.channel.unary(methods.userChangePassword, { name, password, hashedPassword: '' });
      printAnswer(session, AuthUserChangePasswordResponse, answer, { simple: 'Password updated\n', fields: '' });
    },
  },
  'grant-role': {
    async run(session) {
      const [user, role] = two(session, 'user grant command requires user name and role name as its argument');
      const answer = await session.channel.unary(methods.userGrantRole, { user, role });
      const simple = `Role ${role} is granted to user ${user}\n`;
      printAnswer(session, AuthUserGrantRoleResponse, answer, { simple, fields: '' });
    },
  },
  'revoke-role': {
    async run(session) {
      const [name, role] = two(session, 'user revoke-role requires user name and role name as its argument');
      const answer = await session.channel.unary(methods.userRevokeRole, { name, role });
      const simple = `Role ${role} is revoked from user ${name}\n`;
      printAnswer(session, AuthUserRevokeRoleResponse, answer, { simple, fields: '' });
    },
  },
};

/** The password is in a flag, behind the name, on standard input or asked for. */
async function newUser(
  { flags, context }: Session,
  given: string,
): Promise<{ readonly name: string; readonly password: string }> {
  if (flags.bool('no-password')) return { name: given, password: '' };
  const flag = flags.string('new-user-password')!;
  if (flag !== '') return { name: given, password: flag };
  const colon = given.indexOf(':');
  if (colon === 0) throw wrong('empty user name is not allowed');
  if (colon > 0) return { name: given.slice(0, colon), password: given.slice(colon + 1) };
  const password = flags.bool('interactive') ? await askNewPassword(context, given) : await readPassword(context);
  return { name: given, password };
}

function one({ args }: Session, usage: string): string {
  if (args.length !== 1) throw wrong(usage);
  return args[0]!;
}

function two({ args }: Session, usage: string): readonly [string, string] {
  if (args.length !== 2) throw wrong(usage);
  return [args[0]!, args[1]!];
}
