/** The Auth service. Passwords are hashed and compared here, before anything goes into the log: the log never has one. */
import { etcdError } from '#api-etcd/errors.ts';
import type { InternalRaftRequest } from '#api-etcd/gen/raft_internal.ts';
import { Auth, AuthenticateResponse } from '#api-etcd/gen/rpc.ts';
import type { Passwords } from '#host/bcrypt.ts';
import { type BoundService, bind, type CallContext } from '#rpc/call.ts';
import { utf8Decode } from '#std/bytes.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import type { Member } from '../member.ts';
import type { Authenticator } from './authenticator.ts';
import { nobody } from './caller.ts';
import type { Tokens } from './tokens.ts';

export interface AuthServiceOptions {
  readonly authenticator: Authenticator;
  readonly tokens: Tokens;
  readonly passwords: Passwords;
  /** `--bcrypt-cost`: a hash takes 2^cost rounds. */
  readonly bcryptCost: number;
}

/** What bcrypt looks at; upstream refuses longer ones. */
const passwordBytesMax = 72;

export function authService(
  member: Member,
  { authenticator, tokens, passwords, bcryptCost }: AuthServiceOptions,
): BoundService {
  const propose = async <T>(request: Partial<InternalRaftRequest>, context: CallContext): Promise<T> => {
    const answered = await member.propose(request, authenticator.callerOf(context));
    return { ...answered, header: member.header() } as T;
  };
  const hashed = async (password: string, { signal }: CallContext): Promise<string> => {
    if (Buffer.byteLength(password) > passwordBytesMax)
      throw new RpcError(Code.Unknown, 'bcrypt: password length exceeds 72 bytes');
    return Buffer.from(await passwords.hash(password, bcryptCost, signal)).toString('base64');
  };

  return bind(Auth, {
    authEnable: (authEnable, context) => propose({ authEnable }, context),
    authDisable: (authDisable, context) => propose({ authDisable }, context),
    authStatus: (authStatus, context) => propose({ authStatus }, context),

    async authenticate({ name, password }, { signal }): Promise<AuthenticateResponse> {
      for (;;) {
        const { auth } = member.machine;
        const { revision } = auth;
        if (!auth.enabled) throw etcdError('authNotEnabled');
        const user = auth.user(name);
        if (user === undefined) throw etcdError('authFailed');
        if (user.options?.noPassword) throw etcdError('noPasswordUser');
        if (!(await passwords.matches(password, utf8Decode(user.password), signal))) throw etcdError('authFailed');
        const prefix = tokens.prefix();
        try {
          await member.propose({ authenticate: { name, password: '', simpleToken: prefix } }, nobody);
        } catch (error) {
          tokens.forget(prefix);
          throw error;
        }
        const header = member.header();
        const token = tokens.issue(name, prefix, member.machine.auth.revision);
        // Somebody may have changed the password meanwhile.
        if (member.machine.auth.revision === revision) return AuthenticateResponse.create({ header, token });
      }
    },

    async userAdd({ name, password, options }, context) {
      const hashedPassword = options?.noPassword ? '' : await hashed(password, context);
      return propose({ authUserAdd: { name, password: '', hashedPassword, options } }, context);
    },
    userGet: (authUserGet, context) => propose({ authUserGet }, context),
    userList: (authUserList, context) => propose({ authUserList }, context),
    userDelete: (authUserDelete, context) => propose({ authUserDelete }, context),
    async userChangePassword({ name, password }, context) {
      const hashedPassword = password === '' ? '' : await hashed(password, context);
      return propose({ authUserChangePassword: { name, password: '', hashedPassword } }, context);
    },
    userGrantRole: (authUserGrantRole, context) => propose({ authUserGrantRole }, context),
    userRevokeRole: (authUserRevokeRole, context) => propose({ authUserRevokeRole }, context),

    roleAdd: (authRoleAdd, context) => propose({ authRoleAdd }, context),
    roleGet: (authRoleGet, context) => propose({ authRoleGet }, context),
    roleList: (authRoleList, context) => propose({ authRoleList }, context),
    roleDelete: (authRoleDelete, context) => propose({ authRoleDelete }, context),
    roleGrantPermission: (authRoleGrantPermission, context) => propose({ authRoleGrantPermission }, context),
    roleRevokePermission: (authRoleRevokePermission, context) => propose({ authRoleRevokePermission }, context),
  });
}
