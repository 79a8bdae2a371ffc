/**
 * The leader asks every member now and then what it is, and has the cluster's version written down when it should be another.
 * (upstream: server/etcdserver/version)
 */
import type { Clock, Timer } from '#std/clock.ts';
import type { Member } from '../member.ts';
import type { PeerTransport } from '../peers/peers.ts';
import { serverVersion } from '../version.ts';
import { decideVersion } from './decided-version.ts';

/** Upstream's figure. */
const intervalMs = 4000;
/** Until the cluster has a version at all. */
const firstIntervalMs = 200;

export interface VersionMonitorOptions {
  readonly member: Member;
  readonly clock: Clock;
  readonly peers: PeerTransport | undefined;
  readonly log: (message: string) => void;
}

export class VersionMonitor implements Disposable {
  readonly #options: VersionMonitorOptions;
  #timer: Timer | undefined;
  #disposed = false;

  constructor(options: VersionMonitorOptions) {
    this.#options = options;
    if (options.peers !== undefined) this.#arm();
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#timer?.[Symbol.dispose]();
  }

  #arm(): void {
    if (this.#disposed) return;
    const { member, clock } = this.#options;
    this.#timer = clock.after(member.machine.clusterVersion === '' ? firstIntervalMs : intervalMs, () => {
      this.#look()
        .catch((error: unknown) => this.#options.log(`the cluster's version could not be decided: ${error}`))
        .finally(() => this.#arm());
    });
  }

  async #look(): Promise<void> {
    const { member, peers } = this.#options;
    if (!member.isLeader || peers === undefined) return;
    const { memberId } = member.identity;
    const versions = await Promise.all(
      member.machine.members.all().map(async ({ id, peerUrls }) => {
        if (id === memberId) return serverVersion;
        return peers
          .callsTo(peerUrls)
          .version()
          .then(
            ({ server }) => server,
            () => undefined,
          );
      }),
    );
    const { machine } = member;
    const { set, downgraded } = decideVersion({
      current: machine.clusterVersion,
      servers: versions,
      downgrade: machine.downgrade,
    });
    if (set !== undefined) await member.propose({ clusterVersionSet: { ver: set } });
    if (!downgraded) return;
    this.#options.log(`the cluster has been downgraded to ${machine.downgrade.targetVersion}`);
    await member.propose({ downgradeInfoSet: { enabled: false, ver: '' } });
  }
}
