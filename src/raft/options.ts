/**
 * What a member of a raft group is told when it starts. Upstream's name of an option stands in its docstring where ours differs; limits
 * have the unit last and `Infinity` for none.
 */
import { assert } from '#std/assert.ts';
import type { Prng } from '#std/prng.ts';
import type { RaftLogger } from './logger.ts';
import { isLocalTarget, noNode } from './message.ts';
import type { NodeId } from './quorum.ts';
import type { LogStorage } from './storage.ts';

export interface RaftOptions {
  /** This member. Never 0. */
  readonly id: NodeId;
  /** Ticks without a word from a leader after which a member campaigns; each draws its own between this and twice this. */
  readonly electionTicks: number;
  /** Ticks between two heartbeats of a leader. Fewer than `electionTicks`; a tenth is usual. */
  readonly heartbeatTicks: number;
  readonly storage: LogStorage;
  /** Draws the election timeouts. */
  readonly prng: Prng;
  readonly logger?: RaftLogger;
  /** The last index that has been applied already, for a member that restarts. */
  readonly applied?: number;
  /**
   * Writes to the log and applying go by messages (MsgStorageAppend, MsgStorageApply) that carry what to send when they are done,
   * instead of by `ready()` and `advance()` in lockstep: many may be under way.
   */
  readonly asyncStorageWrites?: boolean;
  /** Encoded bytes of entries in one message; 0 for one entry a message. MaxSizePerMsg. */
  readonly messageBytesMax: number;
  /** Encoded bytes of entries that are being applied; as `messageBytesMax` by default. MaxCommittedSizePerReady. */
  readonly committedBytesMax?: number;
  /** Bytes of data that a leader's log holds uncommitted before it drops proposals; no limit by default. MaxUncommittedEntriesSize. */
  readonly uncommittedBytesMax?: number;
  /** Append messages on their way to one follower. MaxInflightMsgs. */
  readonly inflightMessagesMax: number;
  /** Bytes of data on their way to one follower, at least `messageBytesMax`; no limit by default. MaxInflightBytes. */
  readonly inflightBytesMax?: number;
  /** A leader that hears from no majority for an election timeout steps down; followers of a live leader refuse to vote. */
  readonly checkQuorum?: boolean;
  /** A member asks whether it would be elected before it begins a new term (Raft dissertation, 9.6). */
  readonly preVote?: boolean;
  /**
   * How a leader makes sure that it still leads before it answers ReadIndex: `safe` asks a majority, `lease-based` trusts the clock
   * and needs `checkQuorum`.
   */
  readonly readOnly?: 'safe' | 'lease-based';
  /** Followers drop proposals instead of sending them to the leader. */
  readonly disableProposalForwarding?: boolean;
  /** The leader takes changes of membership that do not fit the configuration it knows. Only for who checks them elsewhere. */
  readonly disableConfChangeValidation?: boolean;
  /** A leader that is no voter any more steps down at once. */
  readonly stepDownOnRemoval?: boolean;
}

/** ReadIndex requests that wait in one leader; more are dropped, as without a leader. Ours: upstream has no limit. */
export const readsMax = 65_536;

/** The options with nothing left out. */
export type RaftSettings = Required<RaftOptions>;

/** Fills in what was left out; asserts what upstream validates. */
export function settingsOf(options: RaftOptions): RaftSettings {
  const settings: RaftSettings = {
    logger: {},
    applied: 0,
    asyncStorageWrites: false,
    committedBytesMax: options.messageBytesMax,
    uncommittedBytesMax: Infinity,
    inflightBytesMax: Infinity,
    checkQuorum: false,
    preVote: false,
    readOnly: 'safe',
    disableProposalForwarding: false,
    disableConfChangeValidation: false,
    stepDownOnRemoval: false,
    ...options,
  };
  assert(settings.id !== noNode, 'cannot use none as id');
  assert(!isLocalTarget(settings.id), 'cannot use local target as id');
  assert(settings.heartbeatTicks > 0, 'heartbeat tick must be greater than 0');
  assert(settings.electionTicks > settings.heartbeatTicks, 'election tick must be greater than heartbeat tick');
  assert(settings.committedBytesMax > 0, 'max committed bytes must be greater than 0');
  assert(settings.inflightMessagesMax > 0, 'max inflight messages must be greater than 0');
  assert(
    settings.inflightBytesMax >= settings.messageBytesMax || settings.inflightBytesMax === Infinity,
    'max inflight bytes must be >= max message size',
  );
  assert(
    settings.readOnly === 'safe' || settings.checkQuorum,
    'CheckQuorum must be enabled when ReadOnlyOption is ReadOnlyLeaseBased',
  );
  return settings;
}
