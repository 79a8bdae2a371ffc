/** Watch and Lease. */
import { Lease, LeaseTimeToLiveRequest, Watch, WatchCreateRequest, type WatchResponse } from '#api-etcd/gen/rpc.ts';
import type { Channel } from '#rpc/call.ts';
import type { Ask, Scenario } from './script.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const put = (key: string, value = '') => ({ key: bytes(key), value: bytes(value) });

/** A stream spoken by hand: sends creations and notes what comes back until `count` answers came. */
async function raw(
  channel: Channel,
  { note }: Ask,
  creations: readonly Partial<WatchCreateRequest>[],
  count: number,
): Promise<void> {
  await using call = channel.open(Watch.methods.watch);
  const answers: WatchResponse[] = [];
  const messages = call.messages[Symbol.asyncIterator]();
  for (const creation of creations) {
    call.send({ requestUnion: { case: 'createRequest', value: WatchCreateRequest.create(creation) } });
    answers.push((await messages.next()).value as WatchResponse);
  }
  while (answers.length < count) answers.push((await messages.next()).value as WatchResponse);
  await note(Promise.resolve(answers));
}

export const watchAndLeaseScenarios: readonly Scenario[] = [
  {
    name: 'watch: one key, a range, everything',
    async run({ client, watch }) {
      const one = await watch({ key: bytes('w1') }, 3);
      const range = await watch({ key: bytes('w'), rangeEnd: bytes('x'), prevKv: true }, 5);
      const open = await watch({ key: bytes('w2'), rangeEnd: bytes('\0') }, 3);
      await client.put(put('w1', '1'));
      await client.put(put('w2', '2'));
      await client.put(put('w1', '3'));
      await client.deleteRange({ key: bytes('w'), rangeEnd: bytes('x') });
      await client.put(put('z9', 'last'));
      await Promise.all([one.done, range.done, open.done]);
    },
  },
  {
    name: 'watch: all changes of a transaction in one answer',
    async run({ client, watch }) {
      const items = await watch({ key: bytes('wt'), rangeEnd: bytes('wu'), prevKv: true }, 3);
      await client.txn({
        success: ['wt3', 'wt1', 'wt2'].map((key) => ({
          request: {
            case: 'requestPut',
            value: { ...put(key), lease: 0n, prevKv: false, ignoreLease: false, ignoreValue: false },
          },
        })),
      });
      await items.done;
    },
  },
  {
    name: 'watch: from a past revision, with filters',
    async run({ client, watch }) {
      const start = (await client.put(put('wp', '1'))).header!.revision;
      await client.put(put('wp', '2'));
      await client.deleteRange({ key: bytes('wp') });
      await client.put(put('wp', '3'));
      for (const filters of [[], [0 as const], [1 as const]]) {
        const expected = filters.length === 0 ? 4 : filters[0] === 0 ? 1 : 3;
        const items = await watch({ key: bytes('wp'), startRevision: start, filters, prevKv: true }, expected);
        await items.done;
      }
    },
  },
  {
    name: 'watch: a future revision',
    async run({ client, watch }) {
      const { revision } = (await client.put(put('wf', '1'))).header!;
      const items = await watch({ key: bytes('wf'), startRevision: revision + 3 }, 1);
      for (const value of ['2', '3', '4']) await client.put(put('wf', value));
      await items.done;
    },
  },
  {
    name: 'watch: compacted revisions',
    async run({ client, watch }) {
      await client.put(put('wc', '1'));
      const { revision } = (await client.deleteRange({ key: bytes('wc') })).header!;
      await client.put(put('wc', '2'));
      await client.compact({ revision });
      const late = await watch({ key: bytes('wc'), startRevision: revision - 1 }, 1);
      await late.done;
      const exact = await watch({ key: bytes('wc'), startRevision: revision, prevKv: true }, 2);
      await exact.done;
    },
  },
  {
    name: 'watch: progress on request',
    async run({ client, watch }) {
      const items = await watch({ key: bytes('wq') }, 2);
      await client.put(put('elsewhere'));
      await client.put(put('wq'));
      await new Promise((resolve) => setTimeout(resolve, 300));
      client.requestProgress();
      await items.done;
    },
  },
  {
    name: 'watch: ids, duplicates, impossible ranges',
    async run(ask) {
      const key = bytes('wi');
      await raw(
        ask.channel,
        ask,
        [
          { key },
          { key },
          { key, watchId: 9 },
          { key, watchId: 9 },
          { key },
          { key: bytes('b'), rangeEnd: bytes('a') },
          { key, rangeEnd: key },
          { key: bytes('') },
          { key: bytes(''), rangeEnd: bytes('\0') },
        ],
        9,
      );
    },
  },
  {
    name: 'watch: cancelled by the client',
    async run({ channel, client, note }) {
      await using call = channel.open(Watch.methods.watch);
      const messages = call.messages[Symbol.asyncIterator]();
      call.send({
        requestUnion: { case: 'createRequest', value: WatchCreateRequest.create({ key: bytes('wx') }) },
      });
      await note(messages.next());
      call.send({ requestUnion: { case: 'cancelRequest', value: { watchId: 77 } } });
      call.send({ requestUnion: { case: 'cancelRequest', value: { watchId: 0 } } });
      await note(messages.next());
      await client.put(put('wx'));
      call.send({
        requestUnion: { case: 'createRequest', value: WatchCreateRequest.create({ key: bytes('wx') }) },
      });
      await note(messages.next());
    },
  },
  {
    name: 'watch: fragments of a large revision',
    async run({ channel, client, note, pause }) {
      await using call = channel.open(Watch.methods.watch);
      const messages = call.messages[Symbol.asyncIterator]();
      const { revision } = (await client.range({ key: bytes('wg') })).header!;
      for (let i = 0; i < 6; i++) await client.put(put(`wg${i}`, 'x'.repeat(500_000)));
      await pause(50);
      const value = WatchCreateRequest.create({
        key: bytes('wg'),
        rangeEnd: bytes('wh'),
        startRevision: revision + 1,
        fragment: true,
      });
      call.send({ requestUnion: { case: 'createRequest', value } });
      await messages.next();
      const pieces: unknown[] = [];
      for (let events = 0; events < 6; ) {
        const response = (await messages.next()).value as WatchResponse;
        events += response.events.length;
        pieces.push({ fragment: response.fragment, events: response.events.length });
      }
      await note(Promise.resolve(pieces));
      await client.deleteRange({ key: bytes('wg'), rangeEnd: bytes('wh') });
    },
  },
  {
    name: 'lease: grant, keys, time to live, revoke',
    async run({ client, channel, note, watch }) {
      const timeToLive = (id: bigint, wantsKeys = false) =>
        channel
          .unary(Lease.methods.leaseTimeToLive, LeaseTimeToLiveRequest.create({ id, keys: wantsKeys }))
          .then(({ ttl, keys, ...rest }) => ({
            ...rest,
            keys: keys.map(String).sort(),
            ttl: ttl > 0 ? 'positive' : ttl,
          }));
      await note(client.leaseGrant({ id: 11n, ttl: 1000 }));
      await note(client.leaseGrant({ id: 11n, ttl: 1000 }));
      await note(client.leaseGrant({ id: 12n, ttl: 0 }));
      await note(client.leaseGrant({ id: 13n, ttl: 9_000_000_001 }));
      await note(client.leaseGrant({ id: -5n, ttl: 100 }));
      await note(client.leaseRevoke({ id: -5n }));
      await note(client.put({ ...put('l2'), lease: 11n }));
      await note(client.put({ ...put('l1'), lease: 11n }));
      await note(client.put({ ...put('l3'), lease: 11n }));
      await note(client.put({ ...put('l3') }));
      await note(timeToLive(11n, true));
      await note(timeToLive(99n, true));
      await note(client.leaseKeepAlive(11n));
      await note(client.leaseKeepAlive(99n));
      const items = await watch({ key: bytes('l'), rangeEnd: bytes('m') }, 2);
      await note(client.leaseRevoke({ id: 11n }));
      await note(client.leaseRevoke({ id: 11n }));
      await items.done;
      await note(client.range({ key: bytes('l'), rangeEnd: bytes('m') }));
      await note(timeToLive(11n, true));
    },
  },
  {
    name: 'lease: expiry deletes keys',
    async run({ client, note, watch }) {
      await note(client.leaseGrant({ id: 21n, ttl: 1 }));
      await client.put({ ...put('e1'), lease: 21n });
      const items = await watch({ key: bytes('e1') }, 1);
      await items.done;
      await note(client.range({ key: bytes('e1') }));
      await note(client.leaseKeepAlive(21n));
    },
  },
  {
    name: 'lease: list',
    async run({ client, channel, note }) {
      const { leases } = await channel.unary(Lease.methods.leaseLeases, {});
      for (const { id } of leases) await client.leaseRevoke({ id });
      await client.leaseGrant({ id: 32n, ttl: 3000 });
      await client.leaseGrant({ id: 31n, ttl: 2000 });
      await note(channel.unary(Lease.methods.leaseLeases, {}));
    },
  },
];
