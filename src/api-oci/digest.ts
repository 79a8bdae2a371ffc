/**
 * Digests: `algorithm:encoded`, the names of content. This file knows the grammar; hashing is the caller's.
 * https://github.com/opencontainers/image-spec (descriptor.md, Digests)
 */
import { assert } from '#std/assert.ts';

export type Digest = string & { readonly __brand: 'Digest' };

/** Hex characters of the algorithms that can be verified. */
const hexLengths: Readonly<Record<string, number>> = { sha256: 64, sha512: 128 };
const grammar = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/;
const lowerHex = /^[0-9a-f]+$/;

/** Whether `text` is a digest of an algorithm that can be verified, well formed. */
export function isDigest(text: string): text is Digest {
  return digestProblem(text) === undefined;
}

/** What is wrong with a digest, in go-digest's words; undefined when nothing is. */
export function digestProblem(text: string): string | undefined {
  if (!grammar.test(text)) return 'invalid checksum digest format';
  const [algorithm, encoded] = text.split(':') as [string, string];
  const length = hexLengths[algorithm];
  if (length === undefined) return 'unsupported digest algorithm';
  if (encoded.length !== length) return 'invalid checksum digest length';
  return lowerHex.test(encoded) ? undefined : 'invalid checksum digest format';
}

/** `sha256` or `sha512`, as `node:crypto` names them too. */
export function digestAlgorithm(digest: Digest): 'sha256' | 'sha512' {
  const algorithm = digest.slice(0, digest.indexOf(':'));
  assert(algorithm === 'sha256' || algorithm === 'sha512', `digest of an unknown algorithm: ${digest}`);
  return algorithm;
}

export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}
