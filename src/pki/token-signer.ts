/**
 * Signs and verifies service account tokens (JSON Web Tokens, RFC 7519) and publishes the keys (JWKS, RFC 7517).
 * What the claims mean is the apiserver's business. Algorithms: ES256 and RS256, chosen by the key.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import * as jose from 'jose';
import type { Clock } from '#std/clock.ts';

/** A token that must not be believed; `message` says why, for logs. */
export class TokenError extends Error {
  override readonly name = 'TokenError';
}

export interface TokenSigner {
  /** Signs the claims as they are. */
  sign(claims: Readonly<Record<string, unknown>>): Promise<string>;
  /**
   * Claims of a token that one of our keys signed and whose `exp` and `nbf` hold now.
   * @throws TokenError otherwise
   */
  verify(token: string): Promise<Readonly<Record<string, unknown>>>;
  /** The document behind `/openid/v1/jwks`. */
  readonly jwks: { readonly keys: readonly Readonly<Record<string, unknown>>[] };
}

/**
 * @param privateKey PEM of the key that signs
 * @param publicKeys PEM of further keys that are believed (after a rotation)
 */
export async function createTokenSigner(
  { privateKey, publicKeys = [] }: { readonly privateKey: string; readonly publicKeys?: readonly string[] },
  { clock }: { readonly clock: Clock },
): Promise<TokenSigner> {
  const signingKey = createPrivateKey(privateKey);
  const believed = new Map<string, KeyObject>();
  const own = createPublicKey(privateKey);
  const ownId = keyId(own);
  believed.set(ownId, own);
  for (const pem of publicKeys) {
    const key = createPublicKey(pem);
    believed.set(keyId(key), key);
  }
  const keys = [...believed].map(([kid, key]) => ({
    use: 'sig',
    kid,
    alg: algorithmOf(key),
    ...key.export({ format: 'jwk' }),
  }));
  return {
    jwks: { keys },
    // On the spot: ES256 takes 40 microseconds, and the thread pool ends its work in an order that no clock in tests knows.
    async sign(claims) {
      const signed = `${base64Url({ alg: algorithmOf(own), kid: ownId })}.${base64Url(claims)}`;
      const signature = sign('sha256', Buffer.from(signed), { key: signingKey, dsaEncoding: 'ieee-p1363' });
      return `${signed}.${signature.toString('base64url')}`;
    },
    async verify(token) {
      try {
        const { payload } = await jose.jwtVerify(
          token,
          (header) => {
            const key = believed.get(header.kid ?? '');
            if (key === undefined) throw new TokenError(`unknown key ${header.kid ?? '(none)'}`);
            return key;
          },
          { algorithms: ['ES256', 'RS256'], currentDate: new Date(clock.now()) },
        );
        return payload;
      } catch (error) {
        throw error instanceof TokenError ? error : new TokenError((error as Error).message, { cause: error });
      }
    },
  };
}

function base64Url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function algorithmOf(key: KeyObject): 'ES256' | 'RS256' {
  if (key.asymmetricKeyType === 'ec') return 'ES256';
  if (key.asymmetricKeyType === 'rsa') return 'RS256';
  throw new TokenError(`service account keys are EC P-256 or RSA, not ${key.asymmetricKeyType}`);
}

/** As upstream derives it: base64url of the SHA-256 of the DER public key. */
function keyId(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('base64url');
}
