/** Members of a simulated cluster: each a disk that outlives its runs, and at most one run of the real member at a time. */

import type { InitialMember } from '#etcd/identity.ts';
import { type Etcd, type EtcdConfig, startEtcd } from '#etcd/start.ts';
import type { Channel } from '#rpc/call.ts';
import { seededPrng } from '#std/prng.ts';
import { MemoryDisk } from '#storage/memory-disk.ts';
import type { CommittedLog } from './committed-log.ts';
import { MemberClock } from './world/member-clock.ts';
import type { SimNetwork } from './world/network.ts';
import { SimDisk } from './world/sim-disk.ts';
import type { World } from './world/world.ts';

/** From the start of a member's process to its end. */
export interface MemberRun {
  readonly clock: MemberClock;
  readonly disk: SimDisk;
  /** Undefined while it starts. */
  etcd: Etcd | undefined;
  channel: Channel | undefined;
  /** Told when it ends, however it does. */
  readonly onEnd: Set<() => void>;
  /** Told of whatever a member may not say. */
  readonly violated: (what: string) => void;
}

export interface SimMember {
  readonly name: string;
  readonly url: string;
  content: MemoryDisk;
  run: MemberRun | undefined;
  /** It was told to stop, and does. */
  stopping: boolean;
  /** Its cluster has no place for it any more. */
  removed: boolean;
  /** How it finds its cluster when its disk is empty. */
  bootstrap: Pick<EtcdConfig, 'initialCluster' | 'initialClusterState'>;
}

export interface SimClusterDeps {
  readonly world: World;
  readonly network: SimNetwork;
  readonly log: CommittedLog;
  readonly config: EtcdConfig;
  readonly violated: (what: string) => void;
  readonly trace: (what: string) => void;
}

const dataDir = 'etcd';

/**
 * All members that there are or were. Starts the first ones at once, as a new cluster; later ones are defined, added by an operator, and started. A member that
 * cannot start, stop or go on breaks a promise, unless its disk is full or its removal was asked for.
 */
export class SimCluster {
  readonly members: SimMember[] = [];
  /** Ids that somebody has asked to remove, whether it was heard of or not. */
  readonly removalsAsked = new Set<bigint>();
  readonly #deps: SimClusterDeps;
  #named = 0;

  constructor(deps: SimClusterDeps, size: number) {
    this.#deps = deps;
    const first = Array.from({ length: size }, () => this.define({}));
    const initialCluster = first.map(initial);
    for (const member of first) {
      member.bootstrap = { initialCluster, initialClusterState: 'new' };
      this.start(member);
    }
  }

  /** Those that run and serve. */
  get serving(): readonly SimMember[] {
    return this.members.filter(({ run, removed }) => run?.etcd !== undefined && !removed);
  }

  /** Whoever believes to lead, in the highest term. */
  get leader(): SimMember | undefined {
    return this.serving
      .filter(({ run }) => run!.etcd!.member.isLeader)
      .sort((a, b) => b.run!.etcd!.member.term - a.run!.etcd!.member.term)[0];
  }

  /** The highest term that anybody has led in: what elections there were, about. */
  get terms(): number {
    return Math.max(0, ...this.serving.map(({ run }) => run!.etcd!.member.term));
  }

  /** Those that the leader knows of; without a leader all that there are. @param besides one that is told in any case */
  listed(besides?: SimMember): readonly SimMember[] {
    const urls = this.leader?.run?.etcd?.member.machine.members.all().flatMap(({ peerUrls }) => peerUrls);
    return this.members.filter(
      (member) => member === besides || (urls === undefined ? !member.removed : urls.includes(member.url)),
    );
  }

  /** A member with an empty disk, which does not run yet. */
  define(bootstrap: SimMember['bootstrap']): SimMember {
    const name = `m${this.#named++}`;
    const member: SimMember = {
      name,
      url: `http://${name}:2380`,
      content: new MemoryDisk(),
      run: undefined,
      stopping: false,
      removed: false,
      bootstrap,
    };
    this.members.push(member);
    return member;
  }

  start(member: SimMember): void {
    const { world, network, log, config, violated, trace } = this.#deps;
    if (member.run !== undefined || member.removed) return;
    if (member.bootstrap.initialClusterState === 'existing')
      member.bootstrap = { initialClusterState: 'existing', initialCluster: this.listed(member).map(initial) };
    const clock = new MemberClock(world);
    const run: MemberRun = {
      clock,
      disk: new SimDisk(member.content, world, clock),
      etcd: undefined,
      channel: undefined,
      onEnd: new Set(),
      violated: (what) => violated(`${member.name}: ${what}`),
    };
    member.run = run;
    trace(`start ${member.name}`);
    startEtcd({
      config: { ...config, ...member.bootstrap, name: member.name, peerUrls: [member.url], dataDir },
      deps: {
        clock,
        prng: seededPrng(world.prng.uint32()),
        disk: run.disk,
        peers: network.transport(member.url, clock),
        log: (message) => {
          trace(`${member.name}: ${message}`);
          // Disks lose what was not synced here, but they do not lie: whoever is called corrupt is called so in error, or is.
          if (clock.alive && /alarm CORRUPT/.test(message)) violated(`${member.name}: ${message}`);
        },
        onChanges: (changes) => {
          if (clock.alive) log.applied(member.name, changes);
        },
      },
    }).then(
      (etcd) => {
        if (member.run !== run) return;
        run.etcd = etcd;
        run.channel = etcd.connect();
        void etcd.failed.then((why) => this.#failed(member, run, why));
      },
      (error: unknown) => {
        if (member.run !== run || !clock.alive) return;
        // Whoever joins must reach the others; whoever was there before needs nobody to open its own disk.
        if (!(error instanceof Error && error.name === 'BootstrapError') && !isOfAFullDisk(error))
          violated(`${member.name} cannot start: ${textOf(error)}`);
        trace(`${member.name} did not start: ${error}`);
        this.#end(member, run);
      },
    );
  }

  /** As a power cut does: what was not synced is lost, or not, or torn. */
  kill(member: SimMember): void {
    const { run } = member;
    if (run === undefined) return;
    this.#deps.trace(`kill ${member.name}`);
    this.#end(member, run);
  }

  /** As an operator does. Ends within a few seconds. */
  stop(member: SimMember): void {
    const { run } = member;
    if (run?.etcd === undefined || member.stopping) return;
    this.#deps.trace(`stop ${member.name}`);
    member.stopping = true;
    run.etcd[Symbol.asyncDispose]().then(
      () => {
        // What a clean stop has left is all on disk.
        if (member.run === run) this.#end(member, run);
      },
      (error: unknown) => {
        if (member.run !== run) return;
        this.#deps.trace(`${member.name} did not stop cleanly: ${error}`);
        if (!isOfAFullDisk(error)) this.#deps.violated(`${member.name} did not stop cleanly: ${textOf(error)}`);
        this.#end(member, run);
      },
    );
  }

  #end(member: SimMember, run: MemberRun): void {
    run.clock.kill();
    member.content = run.disk.content.afterCrash(this.#deps.world.prng);
    member.run = undefined;
    member.stopping = false;
    for (const told of [...run.onEnd]) told();
  }

  #failed(member: SimMember, run: MemberRun, why: unknown): void {
    if (member.run !== run || !run.clock.alive || member.stopping) return;
    this.#deps.trace(`${member.name} gave up: ${why}`);
    const removed = why instanceof Error && why.message === removedText;
    if (removed && this.removalsAsked.has(run.etcd!.member.identity.memberId)) member.removed = true;
    else if (!isOfAFullDisk(why)) this.#deps.violated(`${member.name} gave up: ${textOf(why)}`);
    this.#end(member, run);
  }
}

/** Why a member that was removed gives up. */
const removedText = 'the member has been permanently removed from the cluster';

function isOfAFullDisk(error: unknown): boolean {
  return String(error).includes('ENOSPC');
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** How a member stands in the flags of those that it starts with. */
export function initial({ name, url }: SimMember): InitialMember {
  return { name, peerUrls: [url] };
}
