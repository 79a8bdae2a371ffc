/**
 * How the kubelet of a hollow node reaches its pods: what runs in them is a script, so that the script answers HTTP probes and hooks, and every port is open
 * while the container runs. Nothing goes over the machine's network.
 */
import type { HttpQuestion, Reach } from '#host/reachability.ts';
import { type Clock, sleep } from '#std/clock.ts';
import type { Script } from './script.ts';

/** What runs at a pod's address: the scripts of its running containers. */
export type ScriptsAt = (address: string) => readonly Script[];

export function hollowReach(clock: Clock, scriptsAt: ScriptsAt): Reach {
  return {
    async askHttp({ host, port, path, timeoutMs, signal }: HttpQuestion) {
      const scripts = scriptsAt(host);
      if (scripts.length === 0) throw refused(host, port);
      for (const script of scripts) {
        if (script.http === undefined) continue;
        const { status = 200, body = '', afterMs = 0 } = script.http({ port, path, nowMs: clock.now() }) ?? {};
        if (afterMs > 0) await sleep(clock, Math.min(afterMs, timeoutMs), signal);
        if (afterMs > timeoutMs)
          throw new Error('context deadline exceeded (Client.Timeout exceeded while awaiting headers)');
        return { status, body };
      }
      return { status: 200, body: '' };
    },
    async askTcp(host, port) {
      if (scriptsAt(host).length === 0) throw refused(host, port);
    },
  };
}

function refused(host: string, port: number): Error {
  return new Error(`dial tcp ${host}:${port}: connect: connection refused`);
}
