/**
 * Asks running containers whether they live, are ready, have started. One loop per probe; results reach the pod's worker
 * through `onChange`. Upstream's defaults: every 10 s, 1 s of patience, 3 failures.
 */
import { type Clock, sleep } from '#std/clock.ts';
import { below, type Prng } from '#std/prng.ts';
import type { Scope } from '#std/scope.ts';
import type { Container, Pod, Probe } from './pod.ts';
import { initialState, nextState, type Outcome, type ProbeKind, type ProbeState } from './probe-result.ts';

/** Carries out one probe. Rejects when it could not be carried out at all. */
export type ProbeRunner = (
  target: { readonly pod: Pod; readonly container: Container; readonly containerId: string; readonly podIp: string },
  probe: Probe,
  signal: AbortSignal,
) => Promise<{ readonly outcome: Outcome; readonly message: string }>;

export interface ProberDeps {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly run: ProbeRunner;
  readonly onChange: (podUid: string) => void;
  readonly onFailure: (pod: Pod, container: Container, kind: ProbeKind, message: string) => void;
}

interface Watched {
  readonly podUid: string;
  readonly states: Map<ProbeKind, ProbeState>;
  readonly stop: AbortController;
}

const defaultPeriodSeconds = 10;
const kinds = ['startup', 'readiness', 'liveness'] as const;

export class Prober {
  readonly #deps: ProberDeps;
  readonly #scope: Scope;
  /** By container id: a restarted container is another one. */
  readonly #watched = new Map<string, Watched>();
  readonly #loops = new Set<Promise<void>>();

  constructor(scope: Scope, deps: ProberDeps) {
    this.#scope = scope;
    this.#deps = deps;
    scope.defer(async () => {
      for (const { stop } of this.#watched.values()) stop.abort(new Error('kubelet stops'));
      await Promise.all(this.#loops);
    });
  }

  /** Starts the loops of a running container, once. */
  watch(pod: Pod, container: Container, containerId: string, podIp: string): void {
    if (this.#scope.closed || this.#watched.has(containerId)) return;
    const watched: Watched = { podUid: pod.metadata.uid, states: new Map(), stop: new AbortController() };
    this.#watched.set(containerId, watched);
    for (const kind of kinds) {
      const probe = probeOf(container, kind);
      if (probe === undefined) continue;
      watched.states.set(kind, initialState(kind));
      const loop = this.#loop({ pod, container, containerId, podIp }, kind, probe, watched).finally(() =>
        this.#loops.delete(loop),
      );
      this.#loops.add(loop);
    }
  }

  /** Forgets containers of a pod that are not in `alive`. */
  keep(podUid: string, alive: ReadonlySet<string>): void {
    for (const [id, watched] of this.#watched)
      if (watched.podUid === podUid && !alive.has(id)) {
        watched.stop.abort(new Error('container is gone'));
        this.#watched.delete(id);
      }
  }

  ready(containerId: string): boolean {
    const state = this.#watched.get(containerId)?.states.get('readiness');
    return state === undefined || state.verdict === 'success';
  }

  started(containerId: string): boolean {
    const state = this.#watched.get(containerId)?.states.get('startup');
    return state === undefined || state.verdict === 'success';
  }

  /** Why the container must be restarted: a failed liveness or startup probe. */
  mustRestart(containerId: string, name: string): string | undefined {
    const states = this.#watched.get(containerId)?.states;
    if (states?.get('startup')?.verdict === 'failure') return `Container ${name} failed startup probe`;
    if (states?.get('liveness')?.verdict === 'failure') return `Container ${name} failed liveness probe`;
    return undefined;
  }

  async #loop(target: Parameters<ProbeRunner>[0], kind: ProbeKind, probe: Probe, watched: Watched): Promise<void> {
    const { clock, prng } = this.#deps;
    const { signal } = watched.stop;
    const periodMs = (probe.periodSeconds ?? defaultPeriodSeconds) * 1000;
    try {
      await sleep(clock, (probe.initialDelaySeconds ?? 0) * 1000, signal);
      // Spread the probes of a node whose containers started together; a readiness probe is asked at once.
      if (kind !== 'readiness' && (probe.initialDelaySeconds ?? 0) === 0)
        await sleep(clock, below(prng, Math.min(periodMs, 1000)), signal);
      for (;;) {
        // Until it has started, only the startup probe is asked; afterwards only the others.
        const started = this.started(target.containerId);
        if (kind === 'startup' ? started : !started) {
          if (kind === 'startup') return;
        } else await this.#ask(target, kind, probe, watched);
        await sleep(clock, periodMs, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #ask(target: Parameters<ProbeRunner>[0], kind: ProbeKind, probe: Probe, watched: Watched): Promise<void> {
    const { signal } = watched.stop;
    const result = await this.#deps.run(target, probe, signal).catch((error: unknown) => ({
      outcome: 'unknown' as const,
      message: error instanceof Error ? error.message : String(error),
    }));
    if (signal.aborted) return;
    if (result.outcome === 'failure') this.#deps.onFailure(target.pod, target.container, kind, result.message);
    const before = watched.states.get(kind)!;
    const after = nextState(before, result.outcome, probe);
    watched.states.set(kind, after);
    if (after.verdict !== before.verdict) this.#deps.onChange(watched.podUid);
  }
}

function probeOf(container: Container, kind: ProbeKind): Probe | undefined {
  switch (kind) {
    case 'startup':
      return container.startupProbe;
    case 'readiness':
      return container.readinessProbe;
    case 'liveness':
      return container.livenessProbe;
  }
}
