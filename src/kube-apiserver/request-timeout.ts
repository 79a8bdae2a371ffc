/**
 * Requests end: whoever is not answered in time, by whatever is waited for, is told so. Watches, logs and streams last. Source:
 * WithTimeoutForNonLongRunningRequests of k8s.io/apiserver.
 */
import type { Clock, Timer } from '#std/clock.ts';
import type { HttpResponse } from '#transport/http.ts';
import { allottedTimeoutError, type Stage } from './pipeline.ts';
import type { RequestInfo } from './request-info.ts';

/** Upstream's --request-timeout; no call of etcd lasts longer either. */
export const requestTimeoutMs = 60_000;

const longVerbs = new Set(['watch', 'proxy']);
const longSubresources = new Set(['attach', 'exec', 'proxy', 'log', 'portforward']);

export function requestTimeout(clock: Clock): Stage {
  return {
    name: 'TimeoutForNonLongRunningRequests',
    async run(context, next) {
      if (isLongRunning(context.info)) return next(context);
      let timer: Timer | undefined;
      const late = new Promise<HttpResponse>((_, reject) => {
        timer = clock.after(requestTimeoutMs, () => reject(allottedTimeoutError()));
      });
      try {
        return await Promise.race([next(context), late]);
      } finally {
        timer?.[Symbol.dispose]();
      }
    },
  };
}

function isLongRunning({ verb, subresource }: RequestInfo): boolean {
  return longVerbs.has(verb) || longSubresources.has(subresource);
}
