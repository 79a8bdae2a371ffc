/**
 * The seam between a member and the other members of its cluster. A member sends and receives raft messages through it, knows nothing
 * of sockets, and is called back through {@link PeerEvents}. Two things stand behind it: HTTP as upstream's rafthttp speaks it
 * (`start.ts`), and a simulator's network.
 *
 * Nothing here promises delivery: raft sends again what was lost. What arrives on one stream arrives in order; messages of
 * different kinds may overtake each other.
 */

import type { Message } from '#api-etcd/gen/raft.ts';
import type { LeaseTimeToLiveResponse } from '#api-etcd/gen/rpc.ts';
import type { ClusterMember } from '../cluster/members.ts';

export interface PeerNetwork extends AsyncDisposable {
  /**
   * Sends each message to the member its `to` names. Never throws, never waits. What the buffers do not take is dropped and
   * reported as unreachable; messages to 0 and to members that nobody has added are dropped without a word. The messages must
   * not change any more; their bytes are read at the end of this turn of the event loop, or later.
   */
  send(messages: readonly Message[]): void;
  /**
   * Sends a MsgSnap with the database it stands for. How it ended is told by `reportSnapshot`; the database is disposed either
   * way, read or not.
   */
  sendSnapshot(message: Message, database: SnapshotDatabase): void;
  /** A member of the cluster. Streams are opened both ways and kept up. Adding it again changes nothing. */
  addPeer(id: bigint, urls: readonly string[]): void;
  /**
   * A member that this one has not yet heard of by its log: messages to it go out one by one, without streams, so that a
   * member that has just joined can answer. Does nothing for a peer.
   */
  addRemote(id: bigint, urls: readonly string[]): void;
  updatePeer(id: bigint, urls: readonly string[]): void;
  /** Breaks off what goes to and comes from the peer. */
  removePeer(id: bigint): void;
  /** Monotonic milliseconds since when the connection with the peer is up without a failure; undefined while it is not. */
  activeSinceMs(id: bigint): number | undefined;
  /** Whether what is sent to a member now has a way to it. That it arrives is not promised. */
  reaches(id: bigint): boolean;
  /** What Prometheus reads of it, under upstream's names; a network without sockets counts nothing. */
  metrics?(): string;
}

/** The file that a snapshot is: read once, in order, by whoever sends it. */
export interface SnapshotDatabase extends AsyncDisposable {
  /** Exactly as many as `pages` gives. */
  readonly bytes: number;
  pages(): AsyncIterable<Uint8Array>;
}

/**
 * What a member does with what its peers send. No call may throw or wait, but the one that says so. The network makes none from
 * inside a call to it: what `send` has to report comes at the end of the turn.
 */
export interface PeerEvents {
  /**
   * A message to this member from one that is not removed. Its bytes are views on what the network read, and the receiver's to
   * keep; messages that arrived together are given in one turn, one after the other.
   */
  receive(message: Message): void;
  /**
   * A MsgSnap and the database that came with it. Resolves when both are stored and raft has the message; rejects with why not,
   * which the sender is told. The database throws when it is cut off. `bytes` is undefined where the sender did not say.
   */
  receiveSnapshot(message: Message, database: AsyncIterable<Uint8Array>, bytes: number | undefined): Promise<void>;
  reportUnreachable(id: bigint): void;
  /** How a snapshot to the peer ended. After a failure raft waits a while and tries again. */
  reportSnapshot(id: bigint, ok: boolean): void;
  /** Whether the member was removed from this cluster for good. */
  isRemoved(id: bigint): boolean;
  /** A peer says that this member was removed from the cluster: it must stop. */
  refused(why: Error): void;
}

export interface PeerHash {
  readonly hash: number;
  /** The revision that was hashed. */
  readonly hashRevision: number;
  readonly compactRevision: number;
  /** The newest revision of the store. */
  readonly revision: number;
}

/**
 * What the peer port answers besides raft. Calls throw a `PeerError` of the table (`peer-error.ts`) for what upstream has a
 * status for.
 */
export interface PeerSource {
  members(): readonly ClusterMember[];
  /** `3.5.0`; undefined until the cluster has decided. */
  clusterVersion(): string | undefined;
  /** `3.6.0`; undefined before 3.6, where storage has no version. */
  storageVersion(): string | undefined;
  /** @throws PeerError compacted, futureRevision */
  hashKv(revision: number): PeerHash | Promise<PeerHash>;
  /**
   * Makes a learner a voter, on the leader.
   * @param token the caller's authentication token
   * @throws PeerError memberNotFound, memberNotLearner, learnerNotReady
   */
  promote(id: bigint, token: string | undefined): Promise<readonly ClusterMember[]>;
  /**
   * Renews a lease as the leader, when what was acknowledged is applied here. Resolves with its time to live in seconds.
   * @throws PeerError leaseNotFound, notPrimary, leaseTimeout
   */
  renewLease(id: bigint): Promise<number>;
  /** @throws PeerError leaseNotFound, notPrimary, leaseTimeout */
  leaseTimeToLive(id: bigint, keys: boolean): Promise<LeaseTimeToLiveResponse>;
  /** Linearizable. @throws what the read failed with */
  downgradeEnabled(): Promise<boolean>;
}
