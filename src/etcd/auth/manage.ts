/**
 * What the entries of the log that concern authentication do: users, roles, permissions, on and off. Who may ask for it is checked
 * here too, when the entry is applied. (upstream: server/auth/store.go, server/etcdserver/apply/auth.go)
 */
import { etcdError } from '#api-etcd/errors.ts';
import { type Permission, Permission_Type, UserAddOptions } from '#api-etcd/gen/auth.ts';
import type { InternalRaftRequest } from '#api-etcd/gen/raft_internal.ts';
import {
  AuthDisableResponse,
  AuthEnableResponse,
  AuthenticateResponse,
  AuthRoleAddResponse,
  AuthRoleDeleteResponse,
  AuthRoleGetResponse,
  AuthRoleGrantPermissionResponse,
  AuthRoleListResponse,
  AuthRoleRevokePermissionResponse,
  AuthStatusResponse,
  AuthUserAddResponse,
  AuthUserChangePasswordResponse,
  AuthUserDeleteResponse,
  AuthUserGetResponse,
  AuthUserGrantRoleResponse,
  AuthUserListResponse,
  AuthUserRevokeRoleResponse,
} from '#api-etcd/gen/rpc.ts';
import { compareBytes, utf8Decode } from '#std/bytes.ts';
import { type Caller, rootName } from './caller.ts';
import { isPermissionRange } from './permissions.ts';
import type { AuthStore } from './store.ts';

export type AuthResponse =
  | AuthEnableResponse
  | AuthStatusResponse
  | AuthenticateResponse
  | AuthUserGetResponse
  | AuthUserListResponse
  | AuthRoleGetResponse
  | AuthRoleListResponse;

/** What the role `root` may do, whatever was granted to it. */
const everything: Permission = {
  permType: Permission_Type.READWRITE,
  key: new Uint8Array(0),
  rangeEnd: Uint8Array.of(0),
};

/** @returns undefined for an entry that does not concern authentication; answers have no header yet */
export function applyAuth(auth: AuthStore, request: InternalRaftRequest, caller: Caller): AuthResponse | undefined {
  if (request.authStatus !== undefined)
    return AuthStatusResponse.create({ enabled: auth.enabled, authRevision: auth.revision });
  if (request.authenticate !== undefined) return authenticate(auth, request.authenticate.name);
  if (request.authUserGet !== undefined) return userGet(auth, request.authUserGet.name, caller);
  if (request.authRoleGet !== undefined) return roleGet(auth, request.authRoleGet.role, caller);
  return manage(auth, request, caller);
}

/** What only an administrator may ask for. */
function manage(auth: AuthStore, request: InternalRaftRequest, caller: Caller): AuthResponse | undefined {
  const change = changeOf(auth, request);
  if (change === undefined) return undefined;
  auth.checkAdmin(caller);
  return change();
}

function changeOf(auth: AuthStore, request: InternalRaftRequest): (() => AuthResponse) | undefined {
  if (request.authEnable !== undefined) return () => enable(auth);
  if (request.authDisable !== undefined) return () => disable(auth);
  if (request.authUserAdd !== undefined) return () => userAdd(auth, request.authUserAdd!);
  if (request.authUserDelete !== undefined) return () => userDelete(auth, request.authUserDelete!.name);
  if (request.authUserChangePassword !== undefined)
    return () => userChangePassword(auth, request.authUserChangePassword!);
  if (request.authUserGrantRole !== undefined) return () => userGrantRole(auth, request.authUserGrantRole!);
  if (request.authUserRevokeRole !== undefined) return () => userRevokeRole(auth, request.authUserRevokeRole!);
  if (request.authUserList !== undefined) return () => userList(auth);
  if (request.authRoleAdd !== undefined) return () => roleAdd(auth, request.authRoleAdd!.name);
  if (request.authRoleDelete !== undefined) return () => roleDelete(auth, request.authRoleDelete!.role);
  if (request.authRoleList !== undefined) return () => roleList(auth);
  if (request.authRoleGrantPermission !== undefined) {
    const { name, perm } = request.authRoleGrantPermission;
    return () => roleGrantPermission(auth, name, perm);
  }
  if (request.authRoleRevokePermission !== undefined)
    return () => roleRevokePermission(auth, request.authRoleRevokePermission!);
  return undefined;
}

function enable(auth: AuthStore): AuthEnableResponse {
  auth.enable();
  return AuthEnableResponse.create();
}

function disable(auth: AuthStore): AuthDisableResponse {
  auth.disable();
  return AuthDisableResponse.create();
}

/** The password was compared before, by the member that was asked: it is not in the log. The token is that member's to add. */
function authenticate(auth: AuthStore, name: string): AuthenticateResponse {
  if (!auth.enabled) throw etcdError('authNotEnabled');
  const user = auth.user(name);
  if (user === undefined || user.options?.noPassword) throw etcdError('authFailed');
  return AuthenticateResponse.create();
}

function userAdd(auth: AuthStore, request: NonNullable<InternalRaftRequest['authUserAdd']>): AuthUserAddResponse {
  const { name, hashedPassword, options = UserAddOptions.create() } = request;
  if (name === '') throw etcdError('userEmpty');
  if (auth.user(name) !== undefined) throw etcdError('userExists');
  auth.setUser(name, { password: options.noPassword ? noBytes : decoded(hashedPassword), roles: [], options });
  return AuthUserAddResponse.create();
}

function userDelete(auth: AuthStore, name: string): AuthUserDeleteResponse {
  if (auth.enabled && name === rootName) throw etcdError('invalidAuthManagement');
  existing(auth, name);
  auth.deleteUser(name);
  return AuthUserDeleteResponse.create();
}

function userChangePassword(
  auth: AuthStore,
  { name, hashedPassword }: NonNullable<InternalRaftRequest['authUserChangePassword']>,
): AuthUserChangePasswordResponse {
  const user = existing(auth, name);
  auth.setUser(name, { ...user, password: user.options?.noPassword ? noBytes : decoded(hashedPassword) });
  return AuthUserChangePasswordResponse.create();
}

/** Granting it again changes nothing. */
function userGrantRole(
  auth: AuthStore,
  { user: name, role }: NonNullable<InternalRaftRequest['authUserGrantRole']>,
): AuthUserGrantRoleResponse {
  const user = existing(auth, name);
  if (role !== rootName) existingRole(auth, role);
  if (!user.roles.includes(role)) auth.setUser(name, { ...user, roles: [...user.roles, role].sort(byBytes) });
  return AuthUserGrantRoleResponse.create();
}

function userRevokeRole(
  auth: AuthStore,
  { name, role }: NonNullable<InternalRaftRequest['authUserRevokeRole']>,
): AuthUserRevokeRoleResponse {
  if (auth.enabled && name === rootName && role === rootName) throw etcdError('invalidAuthManagement');
  const user = existing(auth, name);
  if (!user.roles.includes(role)) throw etcdError('roleNotGranted');
  auth.setUser(name, { ...user, roles: user.roles.filter((each) => each !== role) });
  return AuthUserRevokeRoleResponse.create();
}

/** Everybody may ask about themselves. */
function userGet(auth: AuthStore, name: string, caller: Caller): AuthUserGetResponse {
  if (name !== caller.username) auth.checkAdmin(caller);
  return AuthUserGetResponse.create({ roles: existing(auth, name).roles });
}

function userList(auth: AuthStore): AuthUserListResponse {
  return AuthUserListResponse.create({ users: auth.users.map(({ name }) => utf8Decode(name)) });
}

function roleAdd(auth: AuthStore, name: string): AuthRoleAddResponse {
  if (name === '') throw etcdError('roleEmpty');
  if (auth.role(name) !== undefined) throw etcdError('roleExists');
  auth.setRole(name, []);
  return AuthRoleAddResponse.create();
}

function roleDelete(auth: AuthStore, name: string): AuthRoleDeleteResponse {
  if (auth.enabled && name === rootName) throw etcdError('invalidAuthManagement');
  existingRole(auth, name);
  auth.deleteRole(name);
  return AuthRoleDeleteResponse.create();
}

/** Everybody may ask about the roles they have. */
function roleGet(auth: AuthStore, name: string, caller: Caller): AuthRoleGetResponse {
  if (!auth.user(caller.username)?.roles.includes(name)) auth.checkAdmin(caller);
  const { keyPermission } = existingRole(auth, name);
  return AuthRoleGetResponse.create({ perm: name === rootName ? [everything] : keyPermission });
}

function roleList(auth: AuthStore): AuthRoleListResponse {
  return AuthRoleListResponse.create({ roles: auth.roles.map(({ name }) => utf8Decode(name)) });
}

/** One range has one kind of permission: granting another replaces it. */
function roleGrantPermission(
  auth: AuthStore,
  name: string,
  perm: Permission | undefined,
): AuthRoleGrantPermissionResponse {
  if (perm === undefined) throw etcdError('permissionNotGiven');
  if (!isPermissionRange(perm.key, perm.rangeEnd)) throw etcdError('invalidAuthManagement');
  const { keyPermission } = existingRole(auth, name);
  // Only the first of the permissions that begin at the same key is compared, as upstream does: members must agree.
  const at = keyPermission.findIndex(({ key }) => compareBytes(key, perm.key) >= 0);
  const found = keyPermission[at];
  // Messages of the wire are views of somebody's buffer.
  const kept = { permType: perm.permType, key: Buffer.from(perm.key), rangeEnd: Buffer.from(perm.rangeEnd) };
  const changed =
    found !== undefined && isSameRange(found, perm)
      ? keyPermission.with(at, kept)
      : [...keyPermission, kept].sort((a, b) => compareBytes(a.key, b.key));
  auth.setRole(name, changed);
  return AuthRoleGrantPermissionResponse.create();
}

function roleRevokePermission(
  auth: AuthStore,
  { role: name, key, rangeEnd }: NonNullable<InternalRaftRequest['authRoleRevokePermission']>,
): AuthRoleRevokePermissionResponse {
  const { keyPermission } = existingRole(auth, name);
  const left = keyPermission.filter((perm) => !isSameRange(perm, { key, rangeEnd }));
  if (left.length === keyPermission.length) throw etcdError('permissionNotGranted');
  auth.setRole(name, left);
  return AuthRoleRevokePermissionResponse.create();
}

function existing(auth: AuthStore, name: string) {
  const user = auth.user(name);
  if (user === undefined) throw etcdError('userNotFound');
  return user;
}

function existingRole(auth: AuthStore, name: string) {
  const role = auth.role(name);
  if (role === undefined) throw etcdError('roleNotFound');
  return role;
}

function isSameRange(a: Pick<Permission, 'key' | 'rangeEnd'>, b: Pick<Permission, 'key' | 'rangeEnd'>): boolean {
  return compareBytes(a.key, b.key) === 0 && compareBytes(a.rangeEnd, b.rangeEnd) === 0;
}

const noBytes = new Uint8Array(0);

/** A hash travels in base64. */
function decoded(hashedPassword: string): Uint8Array {
  return Buffer.from(hashedPassword, 'base64');
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
