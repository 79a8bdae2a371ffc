/**
 * Signed tokens (RFC 7519): whoever has the key can tell who made them, nobody remembers them. The claims are upstream's: `username`, the
 * auth store's `revision` and `exp`. With a public key alone a member checks tokens and makes none. Checking is synchronous, because
 * every request waits for it. (upstream: server/auth/jwt.go)
 */
import {
  constants,
  createHmac,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  type SignKeyObjectInput,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto';
import { JsonError, parseJson } from '#kube-machinery/strict-json.ts';
import type { Clock } from '#std/clock.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import type { Caller } from './caller.ts';

import { TokenOptionsError, type Tokens } from './tokens.ts';

export interface JwtOptions {
  /** `RS256`, `PS384`, `ES512`, `HS256`, `EdDSA` ... */
  readonly signMethod: string;
  /** PEM; any bytes for the `HS` methods. */
  readonly privateKey?: Uint8Array;
  readonly publicKey?: Uint8Array;
  readonly ttlMs: number;
}

type Family = 'RS' | 'PS' | 'ES' | 'HS' | 'EdDSA';

interface Algorithm {
  readonly family: Family;
  /** Of node:crypto; undefined where the key says it. */
  readonly hash: string | undefined;
}

const tokenBytesMax = 8192;
const ellipticCurves: Readonly<Record<string, string>> = {
  sha256: 'prime256v1',
  sha384: 'secp384r1',
  sha512: 'secp521r1',
};
const keyTypes: Readonly<Record<Family, string>> = { RS: 'rsa', PS: 'rsa', ES: 'ec', HS: 'secret', EdDSA: 'ed25519' };

/** Undefined for a name that is no method of signing. */
export function algorithmOf(name: string): Algorithm | undefined {
  if (name === 'EdDSA') return { family: 'EdDSA', hash: undefined };
  const match = /^(RS|PS|ES|HS)(256|384|512)$/.exec(name);
  return match === null ? undefined : { family: match[1] as Family, hash: `sha${match[2]}` };
}

export class JwtTokens implements Tokens {
  readonly #clock: Clock;
  readonly #options: JwtOptions;
  readonly #algorithm: Algorithm;
  readonly #privateKey: KeyObject | undefined;
  readonly #publicKey: KeyObject | undefined;

  /** @throws TokenOptionsError for keys that are missing, of the wrong kind, or do not belong together */
  constructor(options: JwtOptions, clock: Clock) {
    const algorithm = algorithmOf(options.signMethod);
    if (algorithm === undefined) throw new TokenOptionsError('auth: invalid auth options');
    this.#clock = clock;
    this.#options = options;
    this.#algorithm = algorithm;
    const { privateKey, publicKey } = options;
    if (algorithm.family === 'HS') {
      if (privateKey === undefined || privateKey.length === 0) throw new TokenOptionsError('auth: missing key data');
      return;
    }
    if (privateKey !== undefined) this.#privateKey = keyOf(algorithm, privateKey, createPrivateKey);
    const given = publicKey && keyOf(algorithm, publicKey, createPublicKey);
    const derived = this.#privateKey && createPublicKey(this.#privateKey);
    if (given !== undefined && derived !== undefined && !given.equals(derived))
      throw new TokenOptionsError("auth: public and private keys don't match");
    this.#publicKey = given ?? derived;
    if (this.#publicKey === undefined) throw new TokenOptionsError('auth: missing key data');
  }

  prefix(): string {
    return '';
  }

  applied(): void {}

  forget(): void {}

  known(): undefined {
    return undefined;
  }

  issue(username: string, _prefix: string, revision: number): string {
    const exp = Math.floor((this.#clock.now() + this.#options.ttlMs) / 1000);
    const header = base64url(JSON.stringify({ alg: this.#options.signMethod, typ: 'JWT' }));
    const signed = `${header}.${base64url(JSON.stringify({ exp, revision, username }))}`;
    return `${signed}.${this.#sign(Buffer.from(signed)).toString('base64url')}`;
  }

  callerOf(token: string): Caller | undefined {
    const parts = token.split('.');
    const [header, claims, signature] = parts;
    if (parts.length !== 3 || header === undefined || claims === undefined || signature === undefined) return undefined;
    if (token.length > tokenBytesMax || fields(header)?.['alg'] !== this.#options.signMethod) return undefined;
    if (!this.#verify(Buffer.from(`${header}.${claims}`), Buffer.from(signature, 'base64url'))) return undefined;
    const { username, revision, exp, nbf } = fields(claims) ?? {};
    const nowSeconds = this.#clock.now() / 1000;
    if (exp !== undefined && !(typeof exp === 'number' && nowSeconds < exp)) return undefined;
    if (nbf !== undefined && !(typeof nbf === 'number' && nowSeconds >= nbf)) return undefined;
    if (typeof username !== 'string' || typeof revision !== 'number' || !Number.isSafeInteger(revision))
      return undefined;
    return { username, revision };
  }

  #sign(bytes: Buffer): Buffer {
    const { family, hash } = this.#algorithm;
    if (family === 'HS') return createHmac(hash!, this.#options.privateKey!).update(bytes).digest();
    if (this.#privateKey === undefined)
      throw new RpcError(Code.Unknown, 'auth: token signing attempted with verify-only key');
    return sign(hash, bytes, this.#input(this.#privateKey));
  }

  #verify(bytes: Buffer, signature: Buffer): boolean {
    const { family, hash } = this.#algorithm;
    if (family !== 'HS') return verify(hash, bytes, this.#input(this.#publicKey!), signature);
    const wanted = this.#sign(bytes);
    return wanted.length === signature.length && timingSafeEqual(wanted, signature);
  }

  #input(key: KeyObject): SignKeyObjectInput {
    switch (this.#algorithm.family) {
      case 'PS':
        return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
      case 'ES':
        return { key, dsaEncoding: 'ieee-p1363' };
      default:
        return { key };
    }
  }
}

function keyOf({ family, hash }: Algorithm, pem: Uint8Array, read: (pem: Buffer) => KeyObject): KeyObject {
  let key: KeyObject;
  try {
    key = read(Buffer.from(pem));
  } catch (error) {
    throw new TokenOptionsError(`auth: not a key: ${(error as Error).message}`, { cause: error });
  }
  const { asymmetricKeyType, asymmetricKeyDetails } = key;
  const fits =
    asymmetricKeyType === keyTypes[family] &&
    (family !== 'ES' || asymmetricKeyDetails?.namedCurve === ellipticCurves[hash!]);
  if (!fits) throw new TokenOptionsError(`auth: a key of ${asymmetricKeyType} does not fit the sign-method`);
  return key;
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url');
}

/** The object in a part of a token; undefined for what is none. */
function fields(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const { value } = parseJson(Buffer.from(part, 'base64url').toString());
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}
