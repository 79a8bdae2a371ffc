/**
 * Leader election by a Lease, as client-go does it: one candidate holds the lease and renews it; the others take it over once it was
 * not renewed for its duration, by their own clock since they last saw it change. So skewed wall clocks do no harm.
 */
import { StatusError } from '#kube-machinery/status.ts';
import { type Clock, sleep } from '#std/clock.ts';
import { below, type Prng } from '#std/prng.ts';
import type { KubeClient } from './client.ts';
import { formatMicroTime } from './time.ts';
import { type Lease, leases } from './types/coordination.ts';

export interface LeaderElectionConfig {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly name: string;
  /** Unique among the candidates. */
  readonly identity: string;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: (message: string) => void;
  readonly signal: AbortSignal;
}

export const leaseDurationMs = 15_000;
export const renewDeadlineMs = 10_000;
export const retryPeriodMs = 2000;

/**
 * Waits for the lease, calls `lead` with a signal that aborts when the lease is lost, and starts over after `lead` settled. Ends when
 * the signal aborts: the lease is then given back, so that the next one need not wait.
 */
export async function runLeaderElected(
  config: LeaderElectionConfig,
  lead: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const elector = new Elector(config);
  const { clock, prng, signal, log, identity, name } = config;
  while (!signal.aborted) {
    if (!(await elector.tryAcquireOrRenew(signal))) {
      // Jitter keeps candidates from asking in step.
      await sleep(clock, retryPeriodMs * (1 + (1.2 * below(prng, 1000)) / 1000), signal).catch(() => {});
      continue;
    }
    log(`${identity} became leader of ${name}`);
    const lost = new AbortController();
    const stop = () => lost.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const led = lead(lost.signal).finally(() => lost.abort(new Error('leading ended')));
    const renewed = elector.renewUntil(lost);
    try {
      await Promise.all([led, renewed]);
    } finally {
      signal.removeEventListener('abort', stop);
      await elector.release();
    }
    if (!signal.aborted) log(`${identity} is no longer leader of ${name}`);
  }
}

class Elector {
  readonly #config: LeaderElectionConfig;
  #seen: Lease | undefined;
  #seenAtMs = 0;
  /** When the last write that succeeded was sent: the others count from then at the earliest. */
  #renewedAtMs = 0;

  constructor(config: LeaderElectionConfig) {
    this.#config = config;
  }

  async tryAcquireOrRenew(signal: AbortSignal): Promise<boolean> {
    const { clock, identity, log, name } = this.#config;
    try {
      // The lease last written is tried first: a renewal is then one request.
      const held = this.#seen?.spec?.holderIdentity === identity;
      const lease = held ? this.#seen! : await this.#read(signal);
      if (lease !== undefined && !held) this.#observe(lease);
      const spec = lease?.spec ?? {};
      const free = !spec.holderIdentity || spec.holderIdentity === identity;
      const durationMs = (spec.leaseDurationSeconds ?? leaseDurationMs / 1000) * 1000;
      if (!free && this.#seenAtMs + durationMs > clock.monotonicMs()) return false;
      const sentAtMs = clock.monotonicMs();
      this.#observe(await this.#write(lease, signal));
      this.#renewedAtMs = sentAtMs;
      return true;
    } catch (error) {
      // Somebody else was first, or our view is old: look again next time.
      if (error instanceof StatusError && error.code === 409) this.#seen = undefined;
      else if (!signal.aborted) log(`lease ${name}: ${error instanceof Error ? error.message : error}`);
      return false;
    }
  }

  /**
   * Renews until `lost` aborts; aborts it itself once the lease could not be renewed in time. The deadline is a timer and not a look
   * after each attempt: a renewal that gets no answer at all must not outlive the lease.
   */
  async renewUntil(lost: AbortController): Promise<void> {
    const { clock } = this.#config;
    const arm = () =>
      clock.after(Math.max(0, this.#renewedAtMs + renewDeadlineMs - clock.monotonicMs()), () =>
        lost.abort(new Error('the lease was lost')),
      );
    let deadline = arm();
    try {
      while (!lost.signal.aborted) {
        await sleep(clock, retryPeriodMs, lost.signal);
        if (!(await this.tryAcquireOrRenew(lost.signal))) continue;
        deadline[Symbol.dispose]();
        deadline = arm();
      }
    } catch (error) {
      if (!lost.signal.aborted) throw error;
    } finally {
      deadline[Symbol.dispose]();
    }
  }

  /** Gives the lease back when it is ours. A failure costs the next leader some seconds, nothing else; nor does it wait for long. */
  async release(): Promise<void> {
    const { clock, identity, log, name } = this.#config;
    const lease = this.#seen;
    this.#seen = undefined;
    if (lease?.spec?.holderIdentity !== identity) return;
    const aborter = new AbortController();
    const deadline = clock.after(renewDeadlineMs, () => aborter.abort(new Error('no answer')));
    try {
      const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 };
      await this.#client().update({ ...lease, spec }, { signal: aborter.signal });
    } catch (error) {
      log(`lease ${name} not released: ${error instanceof Error ? error.message : error}`);
    } finally {
      deadline[Symbol.dispose]();
    }
  }

  #client() {
    return this.#config.client.resource<Lease>(leases, this.#config.namespace);
  }

  async #read(signal: AbortSignal): Promise<Lease | undefined> {
    try {
      return await this.#client().get(this.#config.name, { signal });
    } catch (error) {
      if (error instanceof StatusError && error.code === 404) return undefined;
      throw error;
    }
  }

  async #write(lease: Lease | undefined, signal: AbortSignal): Promise<Lease> {
    const { clock, identity, name, namespace } = this.#config;
    const now = formatMicroTime(clock.now());
    const mine = lease?.spec?.holderIdentity === identity;
    const spec = {
      holderIdentity: identity,
      leaseDurationSeconds: leaseDurationMs / 1000,
      acquireTime: mine ? (lease.spec?.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: (lease?.spec?.leaseTransitions ?? 0) + (lease === undefined || mine ? 0 : 1),
    };
    return lease === undefined
      ? await this.#client().create({ metadata: { name, namespace }, spec }, { signal })
      : await this.#client().update({ ...lease, spec }, { signal });
  }

  #observe(lease: Lease): void {
    if (lease.metadata.resourceVersion === this.#seen?.metadata.resourceVersion) return;
    this.#seen = lease;
    this.#seenAtMs = this.#config.clock.monotonicMs();
  }
}
