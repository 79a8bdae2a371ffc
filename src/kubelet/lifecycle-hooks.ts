/** postStart and preStop hooks: a command in the container, an HTTP request to the pod, or a pause. */
import type { RuntimeService } from '#cri-client/client.ts';
import type { Reach } from '#host/reachability.ts';
import { type Clock, sleep } from '#std/clock.ts';
import type { Container, LifecycleHandler } from './pod.ts';
import { headersOf, portNumber } from './probe-runner.ts';

const httpTimeoutMs = 30_000;

export class LifecycleHooks {
  readonly #runtime: RuntimeService;
  readonly #reach: Reach;
  readonly #clock: Clock;

  constructor(runtime: RuntimeService, reach: Reach, clock: Clock) {
    this.#reach = reach;
    this.#runtime = runtime;
    this.#clock = clock;
  }

  /**
   * Runs a hook to its end, or until `timeoutMs` has passed or `signal` gives it up.
   * @returns what went wrong; undefined when it succeeded
   */
  async run(
    container: Container,
    containerId: string,
    hook: LifecycleHandler,
    podIp: string,
    signal: AbortSignal,
    timeoutMs?: number,
  ): Promise<string | undefined> {
    try {
      if (hook.exec !== undefined) {
        const { exitCode, stderr } = await this.#runtime.execSync(
          {
            containerId,
            cmd: [...(hook.exec.command ?? [])],
            timeout: timeoutMs === undefined ? 0n : BigInt(Math.ceil(timeoutMs / 1000)),
          },
          { signal },
        );
        return exitCode === 0 ? undefined : `command exited with ${exitCode}: ${Buffer.from(stderr).toString('utf8')}`;
      }
      if (hook.httpGet !== undefined) {
        const { status } = await this.#reach.askHttp({
          scheme: hook.httpGet.scheme?.toLowerCase() === 'https' ? 'https' : 'http',
          host: hook.httpGet.host || podIp,
          port: portNumber(container, hook.httpGet.port),
          path: hook.httpGet.path?.startsWith('/') ? hook.httpGet.path : `/${hook.httpGet.path ?? ''}`,
          headers: headersOf(hook.httpGet),
          timeoutMs: Math.min(timeoutMs ?? httpTimeoutMs, httpTimeoutMs),
          signal,
        });
        return status >= 200 && status < 400 ? undefined : `http hook answered ${status}`;
      }
      if (hook.sleep !== undefined)
        await sleep(this.#clock, Math.min(hook.sleep.seconds * 1000, timeoutMs ?? Number.POSITIVE_INFINITY), signal);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }
}
