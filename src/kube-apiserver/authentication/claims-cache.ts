/**
 * Claims of tokens whose signature has been verified a moment ago: a client sends the same token with each request. Bounded, and forgotten after ten seconds,
 * as upstream's cache of authenticated tokens. What the claims are about is looked at every time.
 */
import type { Clock } from '#std/clock.ts';

type Claims = Readonly<Record<string, unknown>>;

const lifetimeMs = 10_000;
const tokensMax = 4096;

interface Entry {
  readonly claims: Promise<Claims>;
  readonly untilMs: number;
}

/** @param verify throws for a token that is wrong; failures are not kept. */
export function cachedClaims(
  verify: (token: string) => Promise<Claims>,
  clock: Clock,
): (token: string) => Promise<Claims> {
  const known = new Map<string, Entry>();
  return (token) => {
    const nowMs = clock.monotonicMs();
    const entry = known.get(token);
    if (entry !== undefined && entry.untilMs > nowMs) return entry.claims;
    const claims = verify(token);
    // Again at the end: the oldest go first.
    known.delete(token);
    known.set(token, { claims, untilMs: nowMs + lifetimeMs });
    claims.catch(() => {
      if (known.get(token)?.claims === claims) known.delete(token);
    });
    for (const [oldest, { untilMs }] of known) {
      if (known.size <= tokensMax && untilMs > nowMs) break;
      known.delete(oldest);
    }
    return claims;
  };
}
