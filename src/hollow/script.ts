/**
 * What a hollow container does: nothing runs, but it starts, ends, logs and answers commands as its script says. Scripts are chosen by image.
 */

export interface Script {
  /** Time from start to running. Default 0. */
  readonly startMs?: number;
  /** It ends by itself. */
  readonly exit?: { readonly afterMs: number; readonly code: number };
  /** Time from its stop signal to its end; a shorter grace period ends it sooner. Default 0. */
  readonly stopMs?: number;
  /** Time that pulling its image takes. Default 0. */
  readonly pullMs?: number;
  /** Its image cannot be had; the registry's words. */
  readonly pullError?: string;
  /** Lines on standard output when it starts. */
  readonly logs?: readonly string[];
  /** Answers HTTP probes and hooks; default: 200 without a body. `afterMs`: how long it takes to. */
  http?(request: {
    readonly port: number;
    readonly path: string;
    /** The cluster's time, since 1970. */
    readonly nowMs: number;
  }): { readonly status?: number; readonly body?: string; readonly afterMs?: number } | undefined;
  /** Answers a command; default: exit code 0 without output. */
  exec?(command: readonly string[]): { readonly exitCode: number; readonly stdout?: string; readonly stderr?: string };
}

/** By image, as the pod names it; undefined for the default: it starts at once and runs for ever. */
export type Scripts = (image: string) => Script | undefined;

const defaultScript: Script = {};

export function scriptFor(scripts: Scripts, image: string): Script {
  return scripts(image) ?? defaultScript;
}
