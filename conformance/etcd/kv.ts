/** KV: put, range, delete, transactions, compaction. */
import {
  type Compare,
  type DeleteRangeRequest,
  KV,
  PutRequest,
  RangeRequest,
  type RequestOp,
  TxnRequest,
} from '#api-etcd/gen/rpc.ts';
import type { Scenario } from './script.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const nothing = bytes('');

const put = (key: string, value = '', more: Partial<PutRequest> = {}) => ({
  key: bytes(key),
  value: bytes(value),
  ...more,
});
const get = (key: string, end = '', more: Partial<RangeRequest> = {}) => ({
  key: bytes(key),
  rangeEnd: bytes(end),
  ...more,
});

export const putOp = (key: string, value = '', more: Partial<PutRequest> = {}): RequestOp => ({
  request: { case: 'requestPut', value: PutRequest.create(put(key, value, more)) },
});
const getOp = (key: string, end = '', more: Partial<RangeRequest> = {}): RequestOp => ({
  request: { case: 'requestRange', value: RangeRequest.create(get(key, end, more)) },
});
const deleteOp = (key: string, end = '', prevKv = false): RequestOp => ({
  request: {
    case: 'requestDeleteRange',
    value: { key: bytes(key), rangeEnd: bytes(end), prevKv } satisfies DeleteRangeRequest,
  },
});
const txnOp = (request: Partial<TxnRequest>): RequestOp => ({
  request: { case: 'requestTxn', value: TxnRequest.create(request) },
});
const when = (
  key: string,
  target: Compare['target'],
  result: Compare['result'],
  targetUnion: Compare['targetUnion'],
  end = '',
): Compare => ({ key: bytes(key), target, result, targetUnion, rangeEnd: bytes(end) });

const [version, create, mod, value, lease] = [0, 1, 2, 3, 4] as const;
const [equal, greater, less, notEqual] = [0, 1, 2, 3] as const;

export const kvScenarios: readonly Scenario[] = [
  {
    name: 'a new store has revision 1',
    async run({ client, note }) {
      await note(client.range(get('a')));
      await note(client.deleteRange({ key: bytes('a') }));
      await note(client.put(put('a', '1')));
      await note(client.range(get('a')));
    },
  },
  {
    name: 'put: versions, previous value, ignore_value, ignore_lease',
    async run({ client, note }) {
      await note(client.leaseGrant({ id: 7n, ttl: 600 }));
      await note(client.put(put('p', '1', { lease: 7n })));
      await note(client.put(put('p', '2', { prevKv: true, ignoreLease: true })));
      await note(client.put(put('p', '', { prevKv: true, ignoreValue: true })));
      await note(client.put(put('p', 'x', { ignoreValue: true })));
      await note(client.put(put('p', 'x', { ignoreLease: true, lease: 7n })));
      await note(client.put(put('none', '', { ignoreValue: true })));
      await note(client.put(put('none', '', { ignoreLease: true })));
      await note(client.put(put('none', '', { lease: 99n })));
      await note(client.put(put('new', '', { prevKv: true })));
      await note(client.put(put('', 'x')));
      await note(client.range(get('p')));
      await note(client.put(put('\x00\xff\x80', '\xfe')));
      await note(client.range(get('\x00\xff\x80')));
    },
  },
  {
    name: 'range: ends, limits, counts',
    async run({ client, note }) {
      for (const key of ['r1', 'r2', 'r3', 'r4', 'r5']) await client.put(put(key, `v${key}`));
      await note(client.range(get('r2', 'r4')));
      await note(client.range(get('r2', 'r2')));
      await note(client.range(get('r4', 'r2')));
      await note(client.range(get('r3', '\0')));
      await note(client.range(get('\0', '\0', { countOnly: true })));
      await note(client.range(get('r', 's', { limit: 2 })));
      await note(client.range(get('r', 's', { limit: 5 })));
      await note(client.range(get('r', 's', { limit: 6 })));
      await note(client.range(get('r', 's', { countOnly: true, limit: 2 })));
      await note(client.range(get('r', 's', { keysOnly: true })));
      await note(client.range(get('r', 's', { serializable: true, limit: -1 })));
      await note(client.range(get('', 's')));
    },
  },
  {
    name: 'range: orders and filters',
    async run({ client, note }) {
      await client.put(put('o2', 'c'));
      await client.put(put('o1', 'b'));
      await client.put(put('o3', 'a'));
      await client.put(put('o1', 'd'));
      for (const sortTarget of [0, 1, 2, 3, 4] as const)
        for (const sortOrder of [0, 1, 2] as const)
          await note(client.range(get('o', 'p', { sortTarget, sortOrder, limit: 2 })));
      const { kvs } = await client.range(get('o', 'p'));
      const middle = kvs.map(({ modRevision }) => modRevision).sort((a, b) => a - b)[1]!;
      await note(client.range(get('o', 'p', { minModRevision: middle })));
      await note(client.range(get('o', 'p', { maxModRevision: middle, limit: 1 })));
      await note(client.range(get('o', 'p', { minCreateRevision: middle })));
      await note(client.range(get('o', 'p', { maxCreateRevision: middle, keysOnly: true })));
    },
  },
  {
    name: 'range: old and future revisions',
    async run({ client, note }) {
      const first = (await client.put(put('old', '1'))).header!.revision;
      await client.put(put('old', '2'));
      await client.deleteRange({ key: bytes('old') });
      await client.put(put('old', '3'));
      for (let revision = first - 1; revision <= first + 4; revision++)
        await note(client.range(get('old', '', { revision })));
      await note(client.range(get('old', '', { revision: -1 })));
    },
  },
  {
    name: 'delete: one, range, previous values, nothing',
    async run({ client, note }) {
      for (const key of ['d1', 'd2', 'd3', 'd4']) await client.put(put(key, key));
      await note(client.deleteRange({ key: bytes('d1') }));
      await note(client.deleteRange({ key: bytes('d1'), prevKv: true }));
      await note(client.deleteRange({ key: bytes('d2'), rangeEnd: bytes('d4'), prevKv: true }));
      await note(client.deleteRange({ key: bytes('d4'), rangeEnd: bytes('d2') }));
      await note(client.deleteRange({ key: nothing }));
      await note(client.range(get('d', 'e')));
      await note(client.put(put('d1', 'again')));
      await note(client.range(get('d1')));
    },
  },
  {
    name: 'txn: comparisons',
    async run({ client, note }) {
      await client.put(put('t', 'x'));
      const { modRevision, createRevision } = (await client.range(get('t'))).kvs[0]!;
      const conditions: Compare[] = [
        when('t', mod, equal, { case: 'modRevision', value: modRevision }),
        when('t', mod, greater, { case: 'modRevision', value: modRevision }),
        when('t', mod, less, { case: 'modRevision', value: modRevision + 1 }),
        when('t', mod, notEqual, { case: 'modRevision', value: 1 }),
        when('t', create, equal, { case: 'createRevision', value: createRevision }),
        when('t', version, greater, { case: 'version', value: 0 }),
        when('t', value, equal, { case: 'value', value: bytes('x') }),
        when('t', value, less, { case: 'value', value: bytes('xa') }),
        when('t', lease, equal, { case: 'lease', value: 0n }),
        when('t', mod, equal, { case: undefined }),
        when('t', mod, equal, { case: 'version', value: modRevision }),
        when('gone', mod, equal, { case: 'modRevision', value: 0 }),
        when('gone', version, less, { case: 'version', value: 1 }),
        when('gone', value, equal, { case: 'value', value: nothing }),
        when('gone', value, notEqual, { case: 'value', value: nothing }),
        when('t', mod, greater, { case: 'modRevision', value: 0 }, 'u'),
        when('a', mod, equal, { case: 'modRevision', value: modRevision }, 'z'),
      ];
      for (const compare of conditions) await note(client.txn({ compare: [compare] }));
      await note(client.txn({ compare: conditions.slice(0, 2) }));
      await note(client.txn({ compare: [when('', mod, equal, { case: undefined })] }));
    },
  },
  {
    name: 'txn: operations, revisions, reads of own writes',
    async run({ client, note }) {
      await note(client.txn({ success: [getOp('x1'), putOp('x1', '1'), getOp('x1'), putOp('x2', '2')] }));
      await note(client.txn({ success: [deleteOp('x', 'y', true), getOp('x', 'y')] }));
      await note(client.txn({ success: [deleteOp('x', 'y'), putOp('z1', '1')], failure: [putOp('never')] }));
      await note(client.txn({ success: [deleteOp('nothing'), getOp('z1')] }));
      await note(client.txn({ success: [putOp('z1', '2', { prevKv: true }), deleteOp('z2'), getOp('z1')] }));
      await note(client.txn({ success: [getOp('z1'), getOp('z', 'zz', { countOnly: true })] }));
      await note(client.txn({}));
      await note(client.txn({ success: [getOp('z1', '', { revision: 1 << 30 }), putOp('z9')] }));
      await note(client.txn({ success: [putOp('z9'), putOp('z8', '', { lease: 99n })] }));
      await note(client.txn({ success: [putOp('z9'), putOp('none', '', { ignoreValue: true })] }));
      await note(client.range(get('z', 'zz')));
    },
  },
  {
    name: 'txn: what is refused',
    async run({ client, note }) {
      await note(client.txn({ success: [putOp('a'), putOp('a')] }));
      await note(client.txn({ success: [putOp('b'), deleteOp('a', 'c')] }));
      await note(client.txn({ success: [deleteOp('a', 'c'), deleteOp('a', 'c')] }));
      await note(client.txn({ success: [putOp('a'), txnOp({ success: [putOp('a')] })] }));
      await note(client.txn({ success: [txnOp({ success: [putOp('n1')], failure: [putOp('n1')] })] }));
      await note(client.txn({ success: [txnOp({ success: [deleteOp('n')] }), putOp('n')] }));
      await note(client.txn({ success: [{ request: { case: undefined } }] }));
      await note(client.txn({ success: [putOp('')] }));
      await note(client.txn({ success: [getOp('')] }));
      await note(client.txn({ success: Array.from({ length: 129 }, (_, i) => putOp(`m${i}`)) }));
      await note(client.txn({ success: Array.from({ length: 128 }, (_, i) => getOp(`m${i}`)) }));
      const deep = txnOp({ success: Array.from({ length: 127 }, (_, i) => getOp(`m${i}`)) });
      await note(client.txn({ success: [deep] }));
      await note(client.txn({ success: [deep, deep] }));
    },
  },
  {
    name: 'txn: inner transactions look at the store as it was before',
    async run({ client, note }) {
      const isNew = when('in', mod, equal, { case: 'modRevision', value: 0 });
      const inner = txnOp({ compare: [isNew], success: [putOp('in2', 'new')], failure: [putOp('in2', 'old')] });
      await note(client.txn({ compare: [isNew], success: [putOp('in', '1'), inner, getOp('in2')] }));
      await note(client.txn({ compare: [isNew], failure: [putOp('in', '2'), inner, inner].slice(0, 2) }));
      await note(client.range(get('in', 'io')));
      await note(client.txn({ success: [txnOp({ success: [txnOp({ success: [getOp('in')] })] })] }));
    },
  },
  {
    name: 'requests too large',
    async run({ client, note }) {
      const large = Buffer.alloc(1.5 * 1024 * 1024, 'x');
      await note(client.put({ key: bytes('large'), value: large }));
      await note(client.put({ key: bytes('large'), value: large.subarray(1024) }));
      await note(client.range(get('large', '', { keysOnly: true })));
      await note(client.deleteRange({ key: bytes('large') }));
    },
  },
  {
    name: 'compaction',
    async run({ client, note }) {
      await client.put(put('c', '1'));
      const at = (await client.put(put('c', '2'))).header!.revision;
      await client.put(put('c', '3'));
      await client.deleteRange({ key: bytes('c') });
      await note(client.compact({ revision: at }));
      for (const revision of [at - 1, at, at + 1, at + 2]) await note(client.range(get('c', '', { revision })));
      await note(client.compact({ revision: at }));
      await note(client.compact({ revision: at - 1 }));
      await note(client.compact({ revision: at + 100 }));
      await note(client.txn({ success: [getOp('c', '', { revision: at - 1 }), putOp('c9')] }));
      await note(client.txn({ success: [getOp('c', '', { revision: at - 1 })] }));
      await note(client.compact({ revision: at + 2, physical: true }));
      await note(client.range(get('r', 's')));
    },
  },
  {
    name: 'metadata of unknown methods',
    async run({ channel, note }) {
      await note(
        channel.unary({ ...KV.methods.put, path: '/etcdserverpb.KV/Nope' }, PutRequest.create({ key: bytes('a') })),
      );
    },
  },
];
