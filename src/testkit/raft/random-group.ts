/**
 * A raft group under a random schedule: messages are lost, doubled and overtake each other, members crash and restart with what was on disk,
 * disks are slow. A schedule is a list of numbers, each one step; so it can be replayed, and shrunk by whoever searches for a short
 * one that breaks something. After every step `SafetyOracle` looks at everything.
 */
import {
  type ConfChangeTransition,
  ConfChangeType,
  ConfChangeV2,
  type Message,
  MessageType,
} from '#api-etcd/gen/raft.ts';
import { membersOf } from '#raft/configuration.ts';
import { appendThread, applyThread } from '#raft/message.ts';
import { DiskMember, type DiskMemberOptions } from './disk-member.ts';
import { SafetyOracle } from './safety-oracle.ts';

export interface RandomGroupOptions extends DiskMemberOptions {
  readonly members: number;
  /** How many of the members vote at first; the others are not in the group yet. */
  readonly voters: number;
  readonly changesMembership: boolean;
}

/** What steps there are, by weight. */
const weights = {
  deliver: 100,
  tick: 12,
  ready: 40,
  append: 30,
  apply: 16,
  propose: 10,
  read: 3,
  drop: 4,
  duplicate: 3,
  cut: 1,
  heal: 1,
  crash: 1,
  restart: 4,
  compact: 1,
  transfer: 1,
  forget: 1,
  unreachable: 1,
  change: 2,
} as const;

type Action = keyof typeof weights;
const wheel: readonly Action[] = Object.entries(weights).flatMap(([action, weight]) =>
  Array.from({ length: weight }, () => action as Action),
);

/** Turns in which everything that is to be done is done, before a tick. */
const turnsMax = 1000;

/** Messages that are on their way; more are lost, as in a network. */
const inFlightMax = 400;

export class RandomGroup {
  readonly members: DiskMember[];
  readonly oracle = new SafetyOracle();
  readonly #options: RandomGroupOptions;
  #network: Message[] = [];
  /** Links that carry nothing, as `source>target`. */
  readonly #cut = new Set<string>();
  #proposals = 0;

  constructor(options: RandomGroupOptions) {
    this.#options = options;
    const voters = Array.from({ length: options.voters }, (_, i) => BigInt(i + 1));
    this.members = Array.from(
      { length: options.members },
      (_, i) => new DiskMember(BigInt(i + 1), voters, options, this.oracle),
    );
  }

  /** One step of the schedule. The low bits choose what, the others whom. */
  step(choice: number): void {
    const action = wheel[choice % wheel.length]!;
    const rest = Math.floor(choice / wheel.length);
    this.#act(action, this.members[rest % this.members.length]!, Math.floor(rest / this.members.length));
    this.oracle.check(this.members);
  }

  #act(action: Action, member: DiskMember, rest: number): void {
    const at = this.#network.length === 0 ? 0 : rest % this.#network.length;
    switch (action) {
      case 'deliver':
        // Mostly in order: a network that reorders everything gets nowhere.
        this.#deliver(this.#network.splice(rest % 4 === 0 ? at : 0, 1)[0]);
        break;
      case 'drop':
        this.#lose(this.#network.splice(at, 1)[0]);
        break;
      case 'duplicate':
        if (this.#network.length > 0) this.#send(this.#network[at]!);
        break;
      case 'cut':
        this.#cutOff(member, rest);
        break;
      case 'heal':
        this.#cut.clear();
        break;
      case 'restart':
        member.restart();
        break;
      case 'crash':
        this.#crash(member, rest);
        break;
      default:
        if (member.isUp) this.#work(action, member, rest);
    }
  }

  #work(action: Action, member: DiskMember, rest: number): void {
    const { node } = member;
    const other = this.members[rest % this.members.length]!.id;
    switch (action) {
      case 'tick':
        node.tick();
        break;
      case 'ready':
        this.#ready(member);
        break;
      case 'append':
        this.#sendAll(member.doAppendWork());
        break;
      case 'apply':
        this.#sendAll(member.doApplyWork());
        break;
      case 'propose':
        node.propose(Buffer.from(`${this.#proposals++}`));
        break;
      case 'read':
        member.read();
        break;
      case 'compact':
        member.compact(rest);
        break;
      case 'transfer':
        node.transferLeader(other);
        break;
      case 'forget':
        node.forgetLeader();
        break;
      case 'unreachable':
        node.reportUnreachable(other);
        break;
      case 'change':
        if (this.#options.changesMembership) node.proposeConfChange(this.#randomChange(rest));
        break;
    }
  }

  #randomChange(rest: number): ConfChangeV2 {
    const types = [
      ConfChangeType.ConfChangeAddNode,
      ConfChangeType.ConfChangeRemoveNode,
      ConfChangeType.ConfChangeAddLearnerNode,
    ];
    const changes = Array.from({ length: 1 + (rest % 2) }, (_, i) => {
      const from = Math.floor(rest / 7 ** (i + 1));
      return {
        type: types[from % types.length]!,
        nodeId: BigInt(1 + (Math.floor(from / types.length) % this.members.length)),
      };
    });
    if (rest % 5 === 0) return ConfChangeV2.create();
    // A member that leaves and comes back under its old id with its old log is one that upstream's rules allow as well.
    const transition = (rest % 3) as ConfChangeTransition;
    return ConfChangeV2.create({ transition, changes });
  }

  #ready(member: DiskMember): void {
    if (member.node.hasReady()) this.#sendAll(member.handleReady());
  }

  #sendAll(messages: readonly Message[]): void {
    for (const message of messages) this.#send(message);
  }

  /** Separates a member, and perhaps its neighbour with it, from the others: in both directions, or one. */
  #cutOff({ id }: DiskMember, rest: number): void {
    const group = [id, ...(rest % 2 === 0 ? [] : [(id % BigInt(this.members.length)) + 1n])];
    for (const inside of group)
      for (const { id: outside } of this.members) {
        if (group.includes(outside)) continue;
        if (rest % 6 !== 0) this.#cut.add(`${inside}>${outside}`);
        if (rest % 6 !== 1) this.#cut.add(`${outside}>${inside}`);
      }
  }

  /** What a member says to itself goes through its queue at once: it cannot be lost. */
  #send(message: Message): void {
    if (message.from === appendThread || message.from === applyThread || message.from === message.to)
      this.#deliver(message);
    else if (this.#network.length < inFlightMax) this.#network.push(message);
    else this.#lose(message);
  }

  /** The transport notices when a snapshot does not arrive, and says so: without that its leader would wait for ever. */
  #lose(message: Message | undefined): void {
    if (message?.type === MessageType.MsgSnap)
      this.members[Number(message.from) - 1]!.reportSnapshot(message.to, false);
  }

  #deliver(message: Message | undefined): void {
    if (message === undefined) return;
    const target = this.members[Number(message.to) - 1]!;
    if (!target.isUp || this.#cut.has(`${message.from}>${message.to}`)) {
      this.#lose(message);
      return;
    }
    target.node.step(message);
    if (message.type === MessageType.MsgSnap) this.members[Number(message.from) - 1]!.reportSnapshot(message.to, true);
  }

  #crash(member: DiskMember, rest: number): void {
    member.crash(rest % 2 === 0);
  }

  /** Everything works from now on. Returns whether a leader leads everybody and everything is committed and applied within `rounds`. */
  settles(rounds: number): boolean {
    for (const member of this.members) member.restart();
    this.#cut.clear();
    for (let round = 0; round < rounds; round++) {
      for (const member of this.members) member.node.tick();
      for (let busy = true, turns = 0; busy; turns++) {
        if (turns > turnsMax) throw new Error('the group does not come to rest');
        busy = false;
        for (const member of this.members) {
          if (member.node.hasReady()) {
            busy = true;
            this.#sendAll(member.handleReady());
          }
          for (let work = member.doAppendWork(); work.length > 0; work = member.doAppendWork()) this.#sendAll(work);
          for (let work = member.doApplyWork(); work.length > 0; work = member.doApplyWork()) this.#sendAll(work);
        }
        const messages = this.#network;
        this.#network = [];
        for (const message of messages) {
          busy = true;
          this.#deliver(message);
        }
        this.oracle.check(this.members);
      }
      if (this.#settled()) return true;
    }
    return false;
  }

  #settled(): boolean {
    const leader = this.members.find(({ node }) => node.state === 'StateLeader');
    if (leader === undefined) return false;
    const { node } = leader;
    const { lastIndex } = node;
    return membersOf(node.raft.tracker.configuration).every((id) => {
      const other = this.members[Number(id) - 1]!.node;
      return other.leader === node.id && other.term === node.term && other.applied === lastIndex;
    });
  }
}
