/** `--auth-token`: `simple`, `jwt,sign-method=RS256,priv-key=FILE,pub-key=FILE,ttl=10m`, or nothing for no tokens. */
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { algorithmOf, type JwtOptions, JwtTokens } from './jwt-tokens.ts';
import { SimpleTokens } from './simple-tokens.ts';
import { noTokens, TokenOptionsError, type Tokens } from './tokens.ts';

export type TokenOptions =
  | { readonly kind: 'simple'; readonly ttlSeconds?: number }
  | ({ readonly kind: 'jwt' } & JwtOptions)
  | { readonly kind: 'none' };

const jwtTtlMsDefault = 5 * 60_000;

/**
 * @param readFile gives a key file
 * @param parseDuration Go's, in milliseconds
 * @throws TokenOptionsError in upstream's words
 */
export function parseTokenOptions(
  text: string,
  readFile: (path: string) => Uint8Array,
  parseDuration: (text: string) => number,
): TokenOptions {
  const [kind, ...pairs] = text.split(',');
  const options = new Map<string, string>();
  for (const pair of pairs) {
    const [name = '', value, ...more] = pair.split('=');
    if (value === undefined || more.length > 0 || options.has(name)) throw invalid();
    options.set(name, value);
  }
  if (kind === '') return { kind: 'none' };
  if (kind === 'simple') return { kind };
  if (kind !== 'jwt') throw invalid();
  const signMethod = options.get('sign-method') ?? '';
  if (algorithmOf(signMethod) === undefined) throw invalid();
  try {
    const ttl = options.get('ttl');
    const [privateKey, publicKey] = ['priv-key', 'pub-key'].map((name) => {
      const path = options.get(name);
      return path === undefined || path === '' ? undefined : readFile(path);
    });
    return {
      kind,
      signMethod,
      ttlMs: ttl === undefined || ttl === '' ? jwtTtlMsDefault : parseDuration(ttl),
      ...(privateKey && { privateKey }),
      ...(publicKey && { publicKey }),
    };
  } catch (error) {
    throw new TokenOptionsError('auth: invalid auth options', { cause: error });
  }
}

export function createTokens(
  options: TokenOptions,
  { clock, prng, appliedIndex }: { readonly clock: Clock; readonly prng: Prng; readonly appliedIndex: number },
): Tokens {
  switch (options.kind) {
    case 'simple':
      return new SimpleTokens({ clock, prng, appliedIndex, ttlSeconds: options.ttlSeconds });
    case 'jwt':
      return new JwtTokens(options, clock);
    case 'none':
      return noTokens;
  }
}

function invalid(): TokenOptionsError {
  return new TokenOptionsError('auth: invalid auth options');
}
