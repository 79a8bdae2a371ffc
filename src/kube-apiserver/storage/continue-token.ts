/**
 * Where the next page of a list begins. Opaque to clients, upstream's shape: base64url of
 * `{"v":"meta.k8s.io/v1","rv":REVISION,"start":"KEY"}`, the key relative to the list's prefix.
 */

import { badRequestError } from '#kube-machinery/status.ts';
import { parseJson } from '#kube-machinery/strict-json.ts';

export interface ContinueToken {
  /** The revision that all pages are read at; -1 for "as things are" (after the consistent one was compacted). */
  readonly revision: number;
  /** Relative key to begin at. */
  readonly start: string;
}

const version = 'meta.k8s.io/v1';

export function encodeContinueToken({ revision, start }: ContinueToken): string {
  return Buffer.from(JSON.stringify({ v: version, rv: revision, start })).toString('base64url');
}

/** @throws StatusError BadRequest */
export function decodeContinueToken(text: string): ContinueToken {
  const wrong = (why: string) => badRequestError(`invalid continue token: continue key is not valid: ${why}`);
  const stray = text.search(/[^\w-]/);
  if (stray !== -1) throw wrong(`illegal base64 data at input byte ${stray}`);
  let token: unknown;
  try {
    token = parseJson(Buffer.from(text, 'base64url').toString('utf8')).value;
  } catch (cause) {
    throw wrong(cause instanceof Error ? cause.message : String(cause));
  }
  const { v, rv, start } = (token ?? {}) as { v?: unknown; rv?: unknown; start?: unknown };
  if (v !== version) throw wrong(`server does not recognize this encoded version ${String(v ?? '')}`);
  if (typeof rv !== 'number' || !Number.isSafeInteger(rv) || rv === 0)
    throw wrong('incorrect encoded start resourceVersion (version meta.k8s.io/v1)');
  if (typeof start !== 'string' || start === '') throw wrong('encoded start key empty (version meta.k8s.io/v1)');
  // A key that climbs out of the list's prefix would read other kinds.
  if (start.startsWith('/') || start.split('/').includes('..')) throw wrong(start);
  return { revision: rv, start };
}
