/**
 * Asks a peer for its time now and then: how long the way there and back takes, and how far the clocks are apart
 * (upstream: rafthttp's probing status, over github.com/xiang90/probing).
 */
import { JsonError, parseJson } from '#kube-machinery/strict-json.ts';
import type { Timer } from '#std/clock.ts';
import { hexId, ioTimeoutMs, type PeerContext } from './context.ts';
import { Deadline } from './deadline.ts';
import type { PeerLink } from './peer-link.ts';
import { readBody } from './read-body.ts';

/** Below the time after which the other end closes an idle connection. */
const probeEveryMs = ioTimeoutMs - 1000;
const probeTimeoutMs = probeEveryMs - 500;
/** A peer that does not answer is complained about this often, one that does is measured that often. */
const complainEveryMs = 5000;
const observeEveryMs = 30_000;
const driftMaxMs = 1000;
/** Weight of the newest round trip in the average. */
const smoothing = 0.125;
const answerBytesMax = 4 << 10;

export interface ProbeStatus {
  readonly healthy: boolean;
  /** Smoothed; 0 before the first answer. */
  readonly roundTripMs: number;
  /** How far this member's clock is ahead of the peer's. */
  readonly clockDriftMs: number;
}

export class Prober implements AsyncDisposable {
  readonly #peerId: bigint;
  readonly #context: PeerContext;
  readonly #link: PeerLink;
  readonly #stop = new AbortController();
  #timer: Timer;
  #probing: Promise<void> = Promise.resolve();
  #status: ProbeStatus = { healthy: false, roundTripMs: 0, clockDriftMs: 0 };
  #why = 'no answer yet';
  #toldMs: number;

  constructor(options: { readonly peerId: bigint; readonly context: PeerContext; readonly link: PeerLink }) {
    this.#peerId = options.peerId;
    this.#context = options.context;
    this.#link = options.link;
    const { clock } = this.#context;
    this.#toldMs = clock.monotonicMs();
    this.#timer = clock.after(probeEveryMs, () => this.#beat());
  }

  get status(): ProbeStatus {
    return this.#status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#timer[Symbol.dispose]();
    this.#stop.abort(new Error('stopped'));
    await this.#probing;
  }

  #beat(): void {
    const { clock } = this.#context;
    this.#timer = clock.after(probeEveryMs, () => this.#beat());
    this.#probing = this.#probe();
  }

  async #probe(): Promise<void> {
    const { clock } = this.#context;
    const url = this.#link.pick();
    const startedMs = clock.monotonicMs();
    using deadline = new Deadline(clock, probeTimeoutMs, this.#stop.signal);
    try {
      const response = await this.#link.request(url, {
        method: 'GET',
        path: '/raft/probing',
        headers: [],
        signal: deadline.signal,
      });
      const theirs = timeOf((await readBody(response.body, answerBytesMax)).toString());
      const { roundTripMs } = this.#status;
      const smoothed = (1 - smoothing) * roundTripMs + smoothing * (clock.monotonicMs() - startedMs);
      this.#status = { healthy: true, roundTripMs: smoothed, clockDriftMs: clock.now() - theirs - smoothed / 2 };
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#status = { ...this.#status, healthy: false };
      this.#why = deadline.reasonOf(error).message;
    }
    this.#tell();
  }

  #tell(): void {
    const { clock, log, traffic } = this.#context;
    const { healthy, roundTripMs, clockDriftMs } = this.#status;
    if (clock.monotonicMs() - this.#toldMs < (healthy ? observeEveryMs : complainEveryMs)) return;
    this.#toldMs = clock.monotonicMs();
    const peer = hexId(this.#peerId);
    if (!healthy) log(`prober detected unhealthy status: ${peer}: ${this.#why}`);
    if (clockDriftMs > driftMaxMs) log(`prober found high clock drift: ${peer}: ${Math.round(clockDriftMs)} ms`);
    traffic.of(this.#peerId).roundTrip(roundTripMs / 1000);
  }
}

/** Milliseconds since 1970 of `{"OK":true,"Now":"2026-..."}`. */
function timeOf(text: string): number {
  try {
    const { value } = parseJson(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      const { OK: ok, Now: now } = value as Readonly<Record<string, unknown>>;
      const time = typeof now === 'string' ? Date.parse(now) : Number.NaN;
      if (ok === true && !Number.isNaN(time)) return time;
    }
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
  }
  throw new Error('the answer to a probe is not one');
}
