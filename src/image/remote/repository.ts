/**
 * A repository on a registry, as whoever pulls sees it. Who speaks the distribution protocol stands beside it. Everything throws
 * ContentError: NotFound, Unauthenticated, PermissionDenied, Unavailable, or DataLoss for bytes that are not what was asked for.
 */
import type { Digest } from '#api-oci/digest.ts';
import type { Descriptor } from '#api-oci/image-spec.ts';

export interface Repository {
  /** What a tag or digest names: the manifest or index itself, verified against its digest. */
  manifest(
    tagOrDigest: string,
    signal?: AbortSignal,
  ): Promise<{ readonly descriptor: Descriptor; readonly bytes: Buffer }>;
  /** A blob's bytes from `offset` on, not verified: whoever stores them does. Broken connections are taken up again. */
  blob(digest: Digest, size: number, offset: number, signal?: AbortSignal): AsyncIterable<Uint8Array>;
}

/** Credentials as the CRI brings them. */
export interface RegistryAuth {
  readonly username?: string;
  readonly password?: string;
  /** base64 of `username:password`. */
  readonly auth?: string;
  /** OAuth2 refresh token. */
  readonly identityToken?: string;
  /** A bearer token to send as it is. */
  readonly registryToken?: string;
}
