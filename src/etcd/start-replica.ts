/**
 * Starts a member that keeps a log: opens or makes its folder, and wires member, log, disk and peers together. The services on top are
 * `start.ts`'s.
 */
import type { Message, Snapshot as RaftSnapshot } from '#api-etcd/gen/raft.ts';
import type { Disk } from '#host/disk.ts';
import { nextTurn } from '#host/event-loop.ts';
import { joinPieces } from '#std/bytes.ts';
import type { Timer } from '#std/clock.ts';
import type { Authenticator } from './auth/authenticator.ts';
import { backendFile, sliceBytes } from './checkpoint/backend.ts';
import { Checkpointer } from './checkpoint/checkpointer.ts';
import { installSnapshot, storeDatabase } from './checkpoint/install-snapshot.ts';
import { raftSnapshot } from './checkpoint/v2-snapshot.ts';
import type { MemberIdentity } from './identity.ts';
import type { Member } from './member.ts';
import type { SnapshotDatabase } from './peers/peer-network.ts';
import type { Peers, PeerTransport } from './peers/peers.ts';
import { peerSource } from './peers/source.ts';
import { ReplicaLog } from './replica/log.ts';
import { LogWriter } from './replica/log-writer.ts';
import type { OpenFolder } from './replica/open.ts';
import { Replica, type ReplicaOptions } from './replica/replica.ts';

export interface StartReplicaOptions
  extends Pick<ReplicaOptions, 'clock' | 'prng' | 'tickMs' | 'electionTicks' | 'preVote'> {
  readonly identity: MemberIdentity;
  readonly member: Member;
  readonly authenticator: Authenticator;
  readonly folder: OpenFolder;
  readonly disk: Disk;
  readonly dataDir: string;
  readonly transport: PeerTransport | undefined;
  /** Addresses of members of the cluster that is being joined, which the log does not name yet. */
  readonly joining: readonly { readonly id: bigint; readonly peerUrls: readonly string[] }[];
  readonly checkpointLogBytesMin: number;
  readonly catchUpEntries: number;
  readonly log: (message: string) => void;
  /** This member cannot go on: its disk takes no writes, or it was removed from the cluster. */
  readonly onFailed: (error: unknown) => void;
}

export interface StartedReplica extends AsyncDisposable {
  readonly checkpointer: Checkpointer;
}

export function startReplica(options: StartReplicaOptions): StartedReplica {
  const { identity, member, authenticator, folder, disk, dataDir, transport, joining, clock, log, onFailed } = options;
  const { memberId, clusterId } = identity;
  const snapFolder = `${dataDir}/member/snap`;
  const { wal, hardState, before, entries, machine, applied, bytes } = folder;
  const replicaLog = new ReplicaLog({
    hardState,
    confState: machine.confState,
    before,
    entries,
    catchUpEntries: options.catchUpEntries,
    snapshot: () => raftSnapshot(member.machine, member.applied),
  });
  const writer = new LogWriter(
    {
      wal,
      clock,
      bytes,
      install: (snapshot) => install(snapshot),
      onSynced: (seconds) => member.counters.walSync.observe(seconds),
      onFailed(error) {
        member.refuseWrites();
        log(`the log cannot be written any more: ${error}`);
        onFailed(error);
      },
    },
    hardState,
  );
  const checkpointer = new Checkpointer({
    disk,
    clock,
    folder: snapFolder,
    member,
    writer,
    savedIndex: applied.index,
    logBytesMin: options.checkpointLogBytesMin,
    onFailed: (error) => log(`the state could not be saved: ${error}`),
  });

  async function install(snapshot: RaftSnapshot): Promise<void> {
    log(`state at index ${snapshot.metadata.index} received from the leader`);
    const installed = await checkpointer.alone(() => installSnapshot(disk, snapFolder, snapshot));
    member.install(installed.machine, installed.applied);
    checkpointer.installed(installed.applied.index);
    for (const { id, peerUrls } of member.machine.members.all()) addPeer(id, peerUrls);
    for (const id of member.machine.members.removedIds) network?.removePeer(id);
    leaveIfRemoved();
  }

  const network = transport?.connect({
    memberId,
    clusterId,
    source: peerSource(member, authenticator),
    events: {
      receive: (message) => replica.receive(message),
      async receiveSnapshot(message, database) {
        await storeDatabase(disk, snapFolder, message, database);
        replica.receive(message);
      },
      reportUnreachable: (id) => replica.reportUnreachable(id),
      reportSnapshot: (id, ok) => replica.reportSnapshot(id, ok),
      isRemoved: (id) => member.machine.members.isRemoved(id),
      refused(why) {
        log(`the cluster refuses this member: ${why.message}`);
        onFailed(why);
      },
    },
  });
  const addPeer = (id: bigint, urls: readonly string[]) => {
    if (id !== memberId) network?.addPeer(id, urls);
  };

  let leaving: Timer | undefined;
  /** It may learn of its removal by an entry, by a state from the leader, or from its own disk after it was stopped on its way out. */
  const leaveIfRemoved = () => {
    if (member.machine.members.isRemoved(memberId))
      leaving ??= clock.after(leaveDelayMs, () => onFailed(new Error(removedText)));
  };
  const replica = new Replica({
    ...options,
    memberId,
    log: replicaLog,
    writer,
    network,
    appliedIndex: applied.index,
    events: {
      apply: (entry) => member.applyEntry(entry),
      mayChange: (change) => member.mayChange(change),
      refused: (place) => member.changeRefused(place),
      changed(change, confState, place) {
        member.membersChanged(change, confState, place);
        if (!('nodeId' in change)) return;
        const { nodeId } = change;
        const known = member.machine.members.get(nodeId);
        if (known !== undefined) {
          addPeer(nodeId, known.peerUrls);
          if (nodeId !== memberId) network?.updatePeer(nodeId, known.peerUrls);
        } else if (nodeId !== memberId) network?.removePeer(nodeId);
        else leaveIfRemoved();
      },
      applied: () => member.settled(),
      isWanted: (id) => member.isWaitedFor(id),
      leaderChanged: (leader) => member.leaderChanged(leader),
      readConfirmed: (context, index) => member.readConfirmed(context, index),
      sendSnapshot(message) {
        sendState(message, member, network).catch((error: unknown) => {
          log(`the state could not be sent: ${error}`);
          replica.reportSnapshot(message.to, false);
        });
      },
    },
  });
  const peers: Peers | undefined =
    transport === undefined || network === undefined ? undefined : { network, callsTo: transport.callsTo };
  member.attach(replica, peers);
  for (const { id, peerUrls } of joining) if (id !== memberId) network?.addRemote(id, peerUrls);
  for (const { id, peerUrls } of machine.members.all()) addPeer(id, peerUrls);
  replica.start();
  leaveIfRemoved();

  return {
    checkpointer,
    async [Symbol.asyncDispose]() {
      leaving?.[Symbol.dispose]();
      await replica[Symbol.asyncDispose]();
      await network?.[Symbol.asyncDispose]();
      await writer.flushed();
      try {
        // What a disk did not take, it will not take now: the state before is whole.
        if (!writer.hasFailed) await checkpointer.finish();
      } finally {
        await writer[Symbol.asyncDispose]();
      }
    },
  };
}

const removedText = 'the member has been permanently removed from the cluster';
/**
 * A member that was removed stays for a moment: when it led, the others hear from it alone that its removal is committed; two members of which one leaves at once would
 * be one that waits for the other's vote for ever. Upstream's figure.
 */
const leaveDelayMs = 1000;

/** A follower gets the state as it is now, however old the message that asked for it. */
async function sendState(message: Message, member: Member, network: Peers['network'] | undefined): Promise<void> {
  const machine = member.machine.fork();
  const { applied } = member;
  const file = await backendFile(machine, applied);
  const database: SnapshotDatabase = {
    bytes: file.size,
    async *pages() {
      for (const slice of joinPieces(file.pages(), sliceBytes)) {
        yield slice;
        await nextTurn();
      }
    },
    async [Symbol.asyncDispose]() {},
  };
  network?.sendSnapshot({ ...message, snapshot: raftSnapshot(machine, applied) }, database);
}
