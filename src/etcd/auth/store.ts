/**
 * Users, roles and whether anybody asks for them: the part of authentication that all members agree on. It is changed by entries of the
 * log alone; every change raises its revision, and what was permitted at an older revision is looked at anew. Tokens are not
 * here: they belong to a member (`tokens.ts`). (upstream: server/auth/store.go)
 */
import { etcdError } from '#api-etcd/errors.ts';
import { type Permission, Role, User } from '#api-etcd/gen/auth.ts';
import { utf8Decode, utf8Encode } from '#std/bytes.ts';
import { type Caller, rootName } from './caller.ts';
import { Permissions } from './permissions.ts';

const oneKey = new Uint8Array(0);

export interface AuthState {
  readonly enabled: boolean;
  readonly revision: number;
  readonly users: Iterable<User>;
  readonly roles: Iterable<Role>;
}

export class AuthStore implements AuthState {
  #enabled: boolean;
  #revision: number;
  readonly #users = new Map<string, User>();
  readonly #roles = new Map<string, Role>();
  /** By user; forgotten at every change. */
  readonly #permissions = new Map<string, Permissions>();

  constructor({ enabled, revision, users, roles }: AuthState = { enabled: false, revision: 1, users: [], roles: [] }) {
    this.#enabled = enabled;
    this.#revision = revision;
    for (const user of users) this.#users.set(utf8Decode(user.name), user);
    for (const role of roles) this.#roles.set(utf8Decode(role.name), role);
  }

  fork(): AuthStore {
    return new AuthStore(this);
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  get revision(): number {
    return this.#revision;
  }

  /** In order of names. */
  get users(): readonly User[] {
    return sortedByName(this.#users.values());
  }

  /** In order of names. */
  get roles(): readonly Role[] {
    return sortedByName(this.#roles.values());
  }

  user(name: string): User | undefined {
    return this.#users.get(name);
  }

  role(name: string): Role | undefined {
    return this.#roles.get(name);
  }

  /** The member itself, where it acts for nobody: to revoke a lease that has run out. */
  get root(): Caller {
    return { username: rootName, revision: this.#revision };
  }

  setUser(name: string, rest: Omit<User, 'name'>): void {
    this.#users.set(name, User.create({ ...rest, name: utf8Encode(name) }));
    this.#changed();
  }

  deleteUser(name: string): void {
    this.#users.delete(name);
    this.#changed();
  }

  setRole(name: string, keyPermission: readonly Permission[]): void {
    this.#roles.set(name, Role.create({ name: utf8Encode(name), keyPermission: [...keyPermission] }));
    this.#changed();
  }

  /** Nobody has the role any more. One change, however many users had it. */
  deleteRole(name: string): void {
    this.#roles.delete(name);
    for (const [username, user] of this.#users)
      if (user.roles.includes(name))
        this.#users.set(username, { ...user, roles: user.roles.filter((role) => role !== name) });
    this.#changed();
  }

  /** @throws RpcError unless there is a user `root` with the role `root`: nobody else could turn it off again */
  enable(): void {
    if (this.#enabled) return;
    const root = this.#users.get(rootName);
    if (root === undefined) throw etcdError('rootUserNotExist');
    if (!isAdmin(root)) throw etcdError('rootRoleNotExist');
    this.#enabled = true;
    this.#permissions.clear();
  }

  disable(): void {
    if (!this.#enabled) return;
    this.#enabled = false;
    this.#changed();
  }

  /** @throws RpcError unless the caller has the role `root`, or authentication is off */
  checkAdmin({ username }: Caller): void {
    if (!this.#enabled) return;
    if (username === '') throw etcdError('userEmpty');
    const user = this.#users.get(username);
    if (user === undefined) throw etcdError('userNotFound');
    if (!isAdmin(user)) throw etcdError('permissionDenied');
  }

  isAdmin({ username }: Caller): boolean {
    const user = this.#users.get(username);
    return !this.#enabled || (user !== undefined && isAdmin(user));
  }

  /** A caller who reads, without the log: somebody of a later revision than is known here has to come again. @throws RpcError */
  current(caller: Caller): Caller {
    if (caller.revision !== 0 && caller.revision > this.#revision) throw etcdError('authOldRevision');
    return caller;
  }

  /** @throws RpcError as all checks of keys: nobody, an old revision, not permitted */
  checkRead(caller: Caller, key: Uint8Array, rangeEnd: Uint8Array = oneKey): void {
    this.#check(caller, (permissions) => permissions.mayRead(key, rangeEnd));
  }

  checkWrite(caller: Caller, key: Uint8Array, rangeEnd: Uint8Array = oneKey): void {
    this.#check(caller, (permissions) => permissions.mayWrite(key, rangeEnd));
  }

  #check({ username, revision }: Caller, may: (permissions: Permissions) => boolean): void {
    if (!this.#enabled) return;
    if (revision === 0) throw etcdError('userEmpty');
    if (revision < this.#revision) throw etcdError('authOldRevision');
    const user = this.#users.get(username);
    if (user === undefined) throw etcdError('permissionDenied');
    if (!isAdmin(user) && !may(this.#permissionsOf(username, user))) throw etcdError('permissionDenied');
  }

  #permissionsOf(username: string, { roles }: User): Permissions {
    let permissions = this.#permissions.get(username);
    if (permissions === undefined) {
      permissions = new Permissions(roles.flatMap((role) => this.#roles.get(role)?.keyPermission ?? []));
      this.#permissions.set(username, permissions);
    }
    return permissions;
  }

  #changed(): void {
    this.#revision++;
    this.#permissions.clear();
  }
}

export function isAdmin({ roles }: User): boolean {
  return roles.includes(rootName);
}

function sortedByName<T extends { readonly name: Uint8Array }>(values: Iterable<T>): readonly T[] {
  return [...values].sort((a, b) => Buffer.compare(a.name, b.name));
}
