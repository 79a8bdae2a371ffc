/** Auth: users, roles, permissions; who may do what once it is on. The last scenario turns it off again. */
import {
  Auth,
  type AuthenticateResponse,
  AuthUserAddRequest,
  CompactionRequest,
  DeleteRangeRequest,
  KV,
  Lease,
  LeaseGrantRequest,
  LeaseTimeToLiveRequest,
  Maintenance,
  PutRequest,
  RangeRequest,
  type RequestOp,
  TxnRequest,
  Watch,
  WatchCreateRequest,
  type WatchResponse,
} from '#api-etcd/gen/rpc.ts';
import type { CallOptions, Channel } from '#rpc/call.ts';
import type { Ask, Scenario } from './script.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const permission = (key: string, end: string, permType: 0 | 1 | 2) => ({
  permType,
  key: bytes(key),
  rangeEnd: bytes(end),
});
const [READ, WRITE, READWRITE] = [0, 1, 2] as const;

/** The calls of the Auth service, as somebody. */
function authOf(channel: Channel, options?: CallOptions) {
  const { methods } = Auth;
  return {
    enable: () => channel.unary(methods.authEnable, {}, options),
    disable: () => channel.unary(methods.authDisable, {}, options),
    status: () => channel.unary(methods.authStatus, {}, options),
    authenticate: (name: string, password: string) => channel.unary(methods.authenticate, { name, password }, options),
    userAdd: (name: string, password = '', noPassword?: boolean) =>
      channel.unary(
        methods.userAdd,
        AuthUserAddRequest.create({
          name,
          password,
          ...(noPassword !== undefined && { options: { noPassword } }),
        }),
        options,
      ),
    userGet: (name: string) => channel.unary(methods.userGet, { name }, options),
    userList: () => channel.unary(methods.userList, {}, options),
    userDelete: (name: string) => channel.unary(methods.userDelete, { name }, options),
    userChangePassword: (name: string, password: string) =>
      channel.unary(methods.userChangePassword, { name, password, hashedPassword: '' }, options),
    userGrantRole: (user: string, role: string) => channel.unary(methods.userGrantRole, { user, role }, options),
    userRevokeRole: (name: string, role: string) => channel.unary(methods.userRevokeRole, { name, role }, options),
    roleAdd: (name: string) => channel.unary(methods.roleAdd, { name }, options),
    roleGet: (role: string) => channel.unary(methods.roleGet, { role }, options),
    roleList: () => channel.unary(methods.roleList, {}, options),
    roleDelete: (role: string) => channel.unary(methods.roleDelete, { role }, options),
    roleGrant: (name: string, key: string, end: string, type: 0 | 1 | 2) =>
      channel.unary(methods.roleGrantPermission, { name, perm: permission(key, end, type) }, options),
    roleRevoke: (role: string, key: string, end: string) =>
      channel.unary(methods.roleRevokePermission, { role, key: bytes(key), rangeEnd: bytes(end) }, options),
  };
}

/** Options of calls by a user. Passwords are the names. */
async function as(channel: Channel, user: string): Promise<CallOptions> {
  const { token } = await authOf(channel).authenticate(user, user);
  return { metadata: [['token', token]] };
}

/** Without the token: no two servers share it. */
function tokenless(answer: Promise<AuthenticateResponse>): Promise<unknown> {
  return answer.then(({ token, ...rest }) => ({ ...rest, token: /^[a-zA-Z]{16}\.\d+$/.test(token) }));
}

const getOp = (key: string): RequestOp => ({
  request: { case: 'requestRange', value: RangeRequest.create({ key: bytes(key) }) },
});
const putOp = (key: string, more: Partial<PutRequest> = {}): RequestOp => ({
  request: { case: 'requestPut', value: PutRequest.create({ key: bytes(key), ...more }) },
});
const deleteOp = (key: string): RequestOp => ({
  request: { case: 'requestDeleteRange', value: DeleteRangeRequest.create({ key: bytes(key) }) },
});

/** Everything a user does with keys, noted. */
async function useKeys({ channel, note }: Ask, options: CallOptions | undefined): Promise<void> {
  const range = (key: string, end = '', more: Partial<RangeRequest> = {}) =>
    note(
      channel.unary(
        KV.methods.range,
        RangeRequest.create({ key: bytes(key), rangeEnd: bytes(end), countOnly: true, ...more }),
        options,
      ),
    );
  const put = (key: string, more: Partial<PutRequest> = {}) =>
    note(channel.unary(KV.methods.put, PutRequest.create({ key: bytes(key), ...more }), options));
  const remove = (key: string, end = '', prevKv = false) =>
    note(channel.unary(KV.methods.deleteRange, { key: bytes(key), rangeEnd: bytes(end), prevKv }, options));
  const txn = (request: Partial<TxnRequest>) =>
    note(channel.unary(KV.methods.txn, TxnRequest.create(request), options));
  for (const [key, end] of [
    ['a', ''],
    ['b', ''],
    ['c', ''],
    ['a', 'c'],
    ['a', 'b'],
    ['b', 'c'],
    ['a', 'd'],
    ['c', '\0'],
    ['\0', '\0'],
    ['w', ''],
    ['x', 'y'],
    ['xa', 'xb'],
    ['c', 'a'],
  ] as const)
    await range(key, end);
  await range('a', '', { serializable: true });
  for (const key of ['a', 'b', 'w', 'x', 'xx', 'y']) await put(key);
  await put('w', { prevKv: true });
  await put('x', { prevKv: true });
  await put('w', { ignoreValue: true });
  await remove('w');
  await remove('w', '', true);
  await remove('x', 'y', true);
  await remove('w', 'y');
  await txn({ success: [getOp('a')] });
  await txn({ success: [getOp('w')] });
  await txn({ success: [putOp('w'), getOp('a')] });
  await txn({ success: [putOp('a')], failure: [] });
  await txn({ success: [], failure: [putOp('a')] });
  await txn({ success: [deleteOp('w')] });
  await txn({
    compare: [
      { key: bytes('w'), rangeEnd: bytes(''), result: 0, target: 0, targetUnion: { case: 'version', value: 0 } },
    ],
  });
  await txn({
    compare: [
      { key: bytes('a'), rangeEnd: bytes(''), result: 0, target: 0, targetUnion: { case: 'version', value: 0 } },
    ],
    failure: [putOp('w')],
  });
}

/** The first answer to a watch: it is there, or why not. */
async function watchAs({ channel, note }: Ask, options: CallOptions | undefined, key: string, end = ''): Promise<void> {
  await using call = channel.open(Watch.methods.watch, options);
  call.send({
    requestUnion: {
      case: 'createRequest',
      value: WatchCreateRequest.create({ key: bytes(key), rangeEnd: bytes(end) }),
    },
  });
  const { value } = await call.messages[Symbol.asyncIterator]().next();
  await note(Promise.resolve(value as WatchResponse));
}

export const authScenarios: readonly Scenario[] = [
  {
    name: 'auth: users',
    async run({ channel, note }) {
      const auth = authOf(channel);
      await note(auth.status());
      await note(auth.disable());
      await note(auth.enable());
      await note(auth.userList());
      await note(auth.userAdd(''));
      await note(auth.userAdd('root', 'root'));
      await note(auth.userAdd('root', 'again'));
      await note(auth.enable());
      await note(auth.userAdd('anna', 'anna'));
      await note(auth.userAdd('certificate', '', true));
      await note(auth.userAdd('empty', ''));
      await note(auth.userList());
      await note(auth.userGet('anna'));
      await note(auth.userGet('nobody'));
      await note(auth.userChangePassword('anna', 'new'));
      await note(auth.userChangePassword('nobody', 'new'));
      await note(auth.userChangePassword('anna', 'anna'));
      await note(auth.userDelete('nobody'));
      await note(auth.userDelete('empty'));
      await note(auth.userGrantRole('anna', 'none'));
      await note(auth.userGrantRole('nobody', 'root'));
      await note(auth.userRevokeRole('anna', 'none'));
      await note(auth.userRevokeRole('nobody', 'none'));
      await note(auth.authenticate('root', 'root'));
      await note(auth.status());
      await note(auth.userList());
    },
  },
  {
    name: 'auth: roles and their permissions',
    async run({ channel, note }) {
      const auth = authOf(channel);
      await note(auth.roleList());
      await note(auth.roleAdd(''));
      await note(auth.roleAdd('reader'));
      await note(auth.roleAdd('reader'));
      await note(auth.roleGet('reader'));
      await note(auth.roleGet('none'));
      await note(auth.roleGrant('none', 'a', '', READ));
      await note(auth.roleGrant('reader', '', 'b', READ));
      await note(auth.roleGrant('reader', 'b', 'a', READ));
      await note(auth.roleGrant('reader', 'b', 'b', READ));
      await note(channel.unary(Auth.methods.roleGrantPermission, { name: 'reader', perm: undefined }));
      await note(auth.roleGrant('reader', 'b', 'c', READ));
      await note(auth.roleGrant('reader', 'a', 'b', READWRITE));
      await note(auth.roleGrant('reader', 'b', 'c', READWRITE));
      await note(auth.roleGrant('reader', 'b', '', WRITE));
      await note(auth.roleGrant('reader', 'b', 'c', READ));
      await note(auth.roleGrant('reader', 'm', '\0', READ));
      await note(auth.roleGet('reader'));
      await note(auth.roleRevoke('reader', 'm', '\0'));
      await note(auth.roleRevoke('reader', 'm', '\0'));
      await note(auth.roleRevoke('reader', 'b', ''));
      await note(auth.roleRevoke('none', 'b', ''));
      await note(auth.roleGet('reader'));
      await note(auth.roleAdd('gone'));
      await note(auth.userGrantRole('anna', 'gone'));
      await note(auth.userGrantRole('anna', 'reader'));
      await note(auth.userGrantRole('anna', 'reader'));
      await note(auth.userGet('anna'));
      await note(auth.roleDelete('gone'));
      await note(auth.roleDelete('gone'));
      await note(auth.userGet('anna'));
      await note(auth.userRevokeRole('anna', 'reader'));
      await note(auth.userGet('anna'));
      await note(auth.userGrantRole('root', 'root'));
      await note(auth.roleGet('root'));
      await note(auth.roleAdd('root'));
      await note(auth.roleList());
    },
  },
  {
    name: 'auth: turned on, nobody and strangers',
    async run(ask) {
      const { channel, note, client } = ask;
      const auth = authOf(channel);
      for (const key of ['a', 'b', 'w', 'x', 'xa']) await client.put({ key: bytes(key), value: bytes('1') });
      await note(auth.roleAdd('writer'));
      await note(auth.roleGrant('writer', 'w', '', WRITE));
      await note(auth.roleGrant('writer', 'x', 'y', READWRITE));
      await note(auth.roleAdd('all'));
      await note(auth.roleGrant('all', '\0', '\0', READWRITE));
      await note(auth.userAdd('wolf', 'wolf'));
      await note(auth.userAdd('owner', 'owner'));
      await note(auth.userAdd('stranger', 'stranger'));
      await note(auth.userGrantRole('anna', 'reader'));
      await note(auth.userGrantRole('wolf', 'writer'));
      await note(auth.userGrantRole('wolf', 'reader'));
      await note(auth.userGrantRole('owner', 'all'));
      await note(auth.enable());
      await note(auth.enable());
      await note(tokenless(auth.authenticate('root', 'wrong')));
      await note(tokenless(auth.authenticate('nobody', 'x')));
      await note(tokenless(auth.authenticate('certificate', '')));
      await note(tokenless(auth.authenticate('root', 'root')));
      await useKeys(ask, undefined);
      await useKeys(ask, { metadata: [['token', 'abcdefghijklmnop.1']] });
      await note(
        channel.unary(KV.methods.range, RangeRequest.create({ key: bytes('a') }), { metadata: [['token', 'x']] }),
      );
      await note(auth.userList());
      await note(auth.userGet('root'));
      await note(auth.roleGet('all'));
      await note(auth.roleList());
      await note(auth.userAdd('more', 'x'));
      await note(auth.disable());
      await watchAs(ask, undefined, 'a');
      await watchAs(ask, { metadata: [['token', 'x']] }, 'a');
    },
  },
  {
    name: 'auth: what readers, writers and owners may do with keys',
    async run(ask) {
      for (const user of ['anna', 'wolf', 'owner', 'stranger', 'root']) await useKeys(ask, await as(ask.channel, user));
    },
  },
  {
    name: 'auth: what readers, writers and owners may watch',
    async run(ask) {
      for (const user of ['anna', 'wolf', 'owner', 'stranger', 'root']) {
        const options = await as(ask.channel, user);
        for (const [key, end] of [
          ['a', ''],
          ['a', 'c'],
          ['a', 'd'],
          ['w', ''],
          ['x', 'y'],
          ['\0', '\0'],
        ] as const)
          await watchAs(ask, options, key, end);
      }
    },
  },
  {
    name: 'auth: what is for administrators',
    async run({ channel, note }) {
      for (const user of ['anna', 'owner', 'root']) {
        const options = await as(channel, user);
        const auth = authOf(channel, options);
        await note(auth.userList());
        await note(auth.userGet('anna'));
        await note(auth.userGet('wolf'));
        await note(auth.userGet('nobody'));
        await note(auth.roleGet('reader'));
        await note(auth.roleGet('writer'));
        await note(auth.roleList());
        await note(auth.roleAdd(`of ${user}`));
        await note(auth.userAdd(`of ${user}`, 'x'));
        await note(auth.roleDelete(`of ${user}`));
        await note(auth.userDelete(`of ${user}`));
        const { version } = await channel.unary(Maintenance.methods.status, {}, options);
        await note(Promise.resolve(version !== ''));
      }
      const root = authOf(channel, await as(channel, 'root'));
      await note(root.userDelete('root'));
      await note(root.roleDelete('root'));
      await note(root.userRevokeRole('root', 'root'));
    },
  },
  {
    name: 'auth: leases',
    async run({ channel, note }) {
      const root = await as(channel, 'root');
      const anna = await as(channel, 'anna');
      const wolf = await as(channel, 'wolf');
      const grant = (id: bigint, options: CallOptions) =>
        note(channel.unary(Lease.methods.leaseGrant, LeaseGrantRequest.create({ id, ttl: 600 }), options));
      const put = (key: string, lease: bigint, options: CallOptions) =>
        note(channel.unary(KV.methods.put, PutRequest.create({ key: bytes(key), lease }), options));
      const revoke = (id: bigint, options: CallOptions) =>
        note(channel.unary(Lease.methods.leaseRevoke, { id }, options));
      const timeToLive = (id: bigint, keys: boolean, options: CallOptions) =>
        note(
          channel
            .unary(Lease.methods.leaseTimeToLive, LeaseTimeToLiveRequest.create({ id, keys }), options)
            .then(({ ttl, keys: its, ...rest }) => ({ ...rest, keys: its.map(String).sort(), ttl: ttl > 0 })),
        );
      const keepAlive = async (id: bigint, options: CallOptions) => {
        await using call = channel.open(Lease.methods.leaseKeepAlive, options);
        call.send({ id });
        await note(call.messages[Symbol.asyncIterator]().next());
      };
      await grant(71n, anna);
      await grant(72n, wolf);
      await put('w', 71n, wolf);
      await put('a', 72n, root);
      await put('x', 72n, wolf);
      await timeToLive(71n, true, wolf);
      await timeToLive(71n, true, anna);
      await timeToLive(71n, false, anna);
      await timeToLive(72n, true, root);
      await timeToLive(99n, true, anna);
      await note(channel.unary(Lease.methods.leaseLeases, {}, root).then(() => 'listed'));
      await keepAlive(71n, wolf);
      await keepAlive(99n, wolf);
      await revoke(71n, anna);
      await revoke(72n, wolf);
      await revoke(71n, wolf);
      await revoke(72n, root);
      await revoke(72n, root);
      await note(channel.unary(KV.methods.txn, TxnRequest.create({ success: [putOp('w', { lease: 99n })] }), wolf));
    },
  },
  {
    name: 'auth: changes take effect at once',
    async run({ channel, note }) {
      const root = authOf(channel, await as(channel, 'root'));
      const anna = await as(channel, 'anna');
      const read = (key: string, options: CallOptions) =>
        note(channel.unary(KV.methods.range, RangeRequest.create({ key: bytes(key), countOnly: true }), options));
      await read('a', anna);
      await root.roleGrant('reader', 'z', '', READ);
      await read('z', anna);
      await root.roleRevoke('reader', 'z', '');
      await read('z', anna);
      await root.userRevokeRole('anna', 'reader');
      await read('a', anna);
      await root.userGrantRole('anna', 'reader');
      await read('a', anna);
      await note(root.userChangePassword('anna', 'other'));
      await read('a', anna);
      await note(tokenless(authOf(channel).authenticate('anna', 'anna')));
      await note(tokenless(authOf(channel).authenticate('anna', 'other')));
      const wolf = await as(channel, 'wolf');
      await note(root.userDelete('wolf'));
      await read('a', wolf);
      await note(root.status());
      const bearer = { metadata: [['authorization', (await as(channel, 'owner')).metadata![0]![1]]] } as CallOptions;
      await read('a', bearer);
      await note(
        channel.unary(KV.methods.compact, CompactionRequest.create({ revision: 1 << 30 }), await as(channel, 'root')),
      );
      await note(root.disable());
      await note(root.status());
      await read('a', anna);
      await note(authOf(channel).authenticate('root', 'root'));
      await note(authOf(channel).userList());
    },
  },
];
