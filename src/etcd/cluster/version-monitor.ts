/**
 * The version that a cluster of several agrees on: the lowest that its members have, so that nobody uses what another does not understand. The leader
 * asks all of them now and then, and has it written down. (upstream: server/etcdserver/version)
 */
import type { Clock, Timer } from '#std/clock.ts';
import type { Member } from '../member.ts';
import type { PeerTransport } from '../peers/peers.ts';
import { serverVersion } from '../version.ts';

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
            // Whoever cannot be asked may be older than all others.
            () => undefined,
          );
      }),
    );
    const known = versions.filter((version) => version !== undefined);
    if (known.length < versions.length) return;
    const lowest = known.map(minorOf).sort((a, b) => a[0] - b[0] || a[1] - b[1])[0]!;
    const decided = `${lowest[0]}.${lowest[1]}.0`;
    const { clusterVersion } = member.machine;
    if (clusterVersion !== '' && !isLower(clusterVersion, decided)) return;
    await member.propose({ clusterVersionSet: { ver: decided } });
  }
}

function minorOf(version: string): [major: number, minor: number] {
  const [major = '0', minor = '0'] = version.split('.');
  return [Number(major), Number(minor)];
}

function isLower(version: string, than: string): boolean {
  const [a, b] = [minorOf(version), minorOf(than)];
  return a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);
}
