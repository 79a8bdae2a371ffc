/** `etcdctl elect`: leads until it is interrupted, or tells who does. */
import { RangeResponse } from '#api-etcd/gen/rpc.ts';
import { campaign, observe } from '#etcd/concurrency/election.ts';
import { WaitingLine } from '#etcd/concurrency/waiting-line.ts';
import { printRange } from './kv.ts';
import { openLeaseSession, untilSignal } from './lease-session.ts';
import { bytes, EtcdctlExit, type Session, type Verb, wrong } from './session.ts';

/** Seconds that a leader who is gone without a word leads on. */
const sessionTtlSeconds = 60;

export const elect: Verb = {
  flags: { listen: { short: 'l', kind: 'bool', usage: 'observation mode' } },
  async run(session) {
    const { args, flags } = session;
    const [name, proposal] = args;
    if (name === undefined || args.length > 2)
      throw wrong('elect takes one election name argument and an optional proposal argument');
    const listens = flags.bool('listen');
    if (proposal === undefined && !listens) throw wrong('no proposal argument but -l not set');
    if (proposal !== undefined && listens) throw wrong('proposal given but -l is set');
    if (proposal === undefined) await listen(session, name);
    else await lead(session, name, proposal);
  },
};

async function listen(session: Session, name: string): Promise<void> {
  const { signal } = untilSignal();
  const line = new WaitingLine(session.channel, { metadata: [], signal }, bytes(name));
  try {
    await observe(line, async (header, kv) => printRange(session, RangeResponse.create({ header, kvs: [kv] })));
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (!signal.aborted) throw wrong('elect: observer lost', EtcdctlExit.error);
}

async function lead(session: Session, name: string, proposal: string): Promise<void> {
  await using lease = await openLeaseSession(session, sessionTtlSeconds);
  const { signal, stopped } = untilSignal();
  const line = new WaitingLine(session.channel, { metadata: [], signal }, bytes(name));
  const won = await campaign(line, { name: bytes(name), lease: lease.lease, value: bytes(proposal) }, signal);
  const { key, rev } = won.leader!;
  printRange(session, await session.client.range({ key }));
  const how = await Promise.race([stopped.then(() => 'stopped'), lease.expired.then(() => 'expired')]);
  if (how === 'expired') throw wrong('elect: session expired', EtcdctlExit.error);
  await line.removeCreatedAt(key, rev, { alsoWhenCancelled: true });
}
