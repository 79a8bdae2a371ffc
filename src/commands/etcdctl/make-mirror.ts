/** `etcdctl make-mirror`: copies the keys of one cluster to another, and what happens to them from then on. */
import { etcdErrorMessage } from '#api-etcd/errors.ts';
import { Event_EventType, type KeyValue } from '#api-etcd/gen/kv.ts';
import { DeleteRangeRequest, PutRequest, type RequestOp, Watch, WatchCreateRequest } from '#api-etcd/gen/rpc.ts';
import { createEtcdClient, type EtcdClient, prefixEnd } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import { bytes, EtcdctlExit, integer, type Session, type Verb, wrong } from './session.ts';

/** Keys asked for at once. */
const pageKeys = 1000;
/** How often it says how many keys it has copied. */
const reportMs = 30_000;

export const makeMirror: Verb = {
  flags: {
    prefix: { kind: 'string', usage: 'key-value prefix to mirror', default: '' },
    'dest-prefix': {
      kind: 'string',
      usage: 'destination prefix to mirror a prefix to a different prefix in the destination cluster',
      default: '',
    },
    rev: { kind: 'string', usage: 'specify the kv revision to start to mirror', default: '0' },
    'no-dest-prefix': { kind: 'bool', usage: 'mirror key-values to the root of the destination cluster' },
    'dest-cert': { kind: 'string', usage: 'certificate for the destination cluster' },
    'dest-key': { kind: 'string', usage: 'key of that certificate' },
    'dest-cacert': { kind: 'string', usage: 'verify certificates of the destination cluster using this CA bundle' },
    'dest-insecure-transport': {
      kind: 'bool',
      default: 'true',
      usage: 'disable transport security for client connections',
    },
    'dest-user': { kind: 'string', usage: 'destination username[:password] for authentication', default: '' },
    'dest-password': { kind: 'string', usage: 'destination password for authentication', default: '' },
  },
  async run(session) {
    const { args, flags, print } = session;
    if (args.length !== 1) throw wrong('make-mirror takes one destination argument');
    const from = flags.string('prefix')!;
    const given = flags.string('dest-prefix')!;
    if (flags.bool('no-dest-prefix') && given !== '')
      throw wrong('`--dest-prefix` and `--no-dest-prefix` cannot be set at the same time, choose one');
    const to = flags.bool('no-dest-prefix') ? '' : given === '' ? from : given;
    const since = integer(flags.string('rev')!, 'bad revision');
    const destination = createEtcdClient(await session.connectTo(args[0]!, 'dest-'), systemClock);
    let total = 0;
    const report = setInterval(() => print(`${total}\n`), reportMs);
    const renamed = (key: Uint8Array) => (bytes(`${to}`).length === 0 && from === '' ? key : rename(key, from, to));
    try {
      // From a revision on there is nothing to copy first.
      const start =
        since ||
        1 +
          (await copyAll(session, from, async ({ key, value }) => {
            await destination.put({ key: renamed(key), value });
            total++;
          }));
      await follow(session, from, start, destination, renamed, () => total++);
    } finally {
      clearInterval(report);
      await destination[Symbol.asyncDispose]();
    }
  },
};

/** All keys of one revision, page by page. @returns the revision */
async function copyAll({ client }: Session, prefix: string, copy: (kv: KeyValue) => Promise<void>): Promise<number> {
  let { key, rangeEnd } = rangeOf(prefix);
  let revision = 0;
  for (;;) {
    const page = await client.range({ key, rangeEnd, revision, limit: pageKeys });
    revision ||= page.header!.revision;
    for (const kv of page.kvs) await copy(kv);
    if (!page.more) return revision;
    key = Buffer.concat([page.kvs.at(-1)!.key, Buffer.of(0)]);
  }
}

/** What is one revision there is one revision here. */
async function follow(
  { channel }: Session,
  prefix: string,
  startRevision: number,
  destination: EtcdClient,
  renamed: (key: Uint8Array) => Uint8Array,
  copied: () => void,
): Promise<void> {
  await using call = channel.open(Watch.methods.watch);
  const value = WatchCreateRequest.create({ ...rangeOf(prefix), startRevision });
  call.send({ requestUnion: { case: 'createRequest', value } });
  for await (const { events, canceled, compactRevision, cancelReason } of call.messages) {
    if (canceled) throw wrong(compactRevision > 0 ? etcdErrorMessage('compacted') : cancelReason, EtcdctlExit.error);
    let ops: RequestOp[] = [];
    let revision = 0;
    const flush = async () => {
      if (ops.length > 0) await destination.txn({ success: ops });
      ops = [];
    };
    for (const { type, kv } of events) {
      if (kv!.modRevision !== revision) await flush();
      revision = kv!.modRevision;
      const key = renamed(kv!.key);
      ops.push({
        request:
          type === Event_EventType.DELETE
            ? { case: 'requestDeleteRange', value: DeleteRangeRequest.create({ key }) }
            : { case: 'requestPut', value: PutRequest.create({ key, value: kv!.value }) },
      });
      copied();
    }
    await flush();
  }
}

function rangeOf(prefix: string): { readonly key: Uint8Array; readonly rangeEnd: Uint8Array } {
  const all = Uint8Array.of(0);
  return prefix === '' ? { key: all, rangeEnd: all } : { key: bytes(prefix), rangeEnd: prefixEnd(bytes(prefix)) };
}

function rename(key: Uint8Array, from: string, to: string): Uint8Array {
  return Buffer.concat([bytes(to), Buffer.from(key).subarray(bytes(from).length)]);
}
