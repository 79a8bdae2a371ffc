/**
 * How a registry is told who asks: from its challenge (RFC 9110, WWW-Authenticate) to the Authorization header. Basic, or a bearer token fetched
 * from where the challenge says. https://distribution.github.io/distribution/spec/auth/token/
 */
import { ContentError } from '../error.ts';
import { type RegistryHttp, readBody } from './http.ts';
import type { RegistryAuth } from './repository.ts';

export interface Challenge {
  /** Lower case. */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

const tokenAnswerBytesMax = 1 << 20;

/** Reads one header's challenges; a header may hold several. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  const token = /\s*,?\s*([!#$%&'*+.^_`|~\w-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]*)))?/y;
  for (let at = 0; at < header.length; at = token.lastIndex) {
    token.lastIndex = at;
    const match = token.exec(header);
    if (match === null) break;
    const [, name, quoted, plain] = match;
    const value = quoted?.replace(/\\(.)/g, '$1') ?? plain;
    if (value === undefined) challenges.push({ scheme: name!.toLowerCase(), parameters: {} });
    else if (challenges.length > 0) challenges.at(-1)!.parameters[name!.toLowerCase()] = value;
  }
  return challenges;
}

/**
 * The Authorization header for a challenge; undefined when there is nothing to answer it with. Throws ContentError when the token's server
 * refuses or cannot be reached.
 */
export async function authorize(
  http: RegistryHttp,
  challenges: readonly Challenge[],
  auth: RegistryAuth,
  scope: string,
  signal?: AbortSignal,
): Promise<string | undefined> {
  if (auth.registryToken !== undefined && auth.registryToken !== '') return `Bearer ${auth.registryToken}`;
  const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
  if (bearer !== undefined) return `Bearer ${await fetchToken(http, bearer, auth, scope, signal)}`;
  const { username, password } = credentials(auth);
  if (!challenges.some(({ scheme }) => scheme === 'basic') || username === '') return undefined;
  return basic(username, password);
}

async function fetchToken(
  http: RegistryHttp,
  { parameters }: Challenge,
  auth: RegistryAuth,
  scope: string,
  signal?: AbortSignal,
): Promise<string> {
  const { realm, service = '' } = parameters;
  if (realm === undefined || !/^https?:\/\//.test(realm))
    throw new ContentError('Unknown', 'failed to authorize: no realm specified for token auth challenge');
  const { username, password } = credentials(auth);
  const anonymous = username === '' && (auth.identityToken ?? '') === '';
  const kind = anonymous ? 'anonymous token' : 'oauth token';
  const url = new URL(realm);
  const byPost = (auth.identityToken ?? '') !== '';
  if (!byPost) {
    url.searchParams.set('scope', parameters['scope'] ?? scope);
    if (service !== '') url.searchParams.set('service', service);
  }
  const response = await http.send({
    method: byPost ? 'POST' : 'GET',
    url: url.href,
    headers: {
      ...(byPost ? { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' } : {}),
      ...(!byPost && username !== '' ? { authorization: basic(username, password) } : {}),
    },
    ...(byPost
      ? {
          body: new URLSearchParams({
            grant_type: 'refresh_token',
            refresh_token: auth.identityToken!,
            client_id: 'containerd-client',
            scope: parameters['scope'] ?? scope,
            service,
          }).toString(),
        }
      : {}),
    signal,
  });
  const bytes = await readBody(response, tokenAnswerBytesMax);
  if (response.status !== 200)
    throw new ContentError(
      response.status === 401 || response.status === 403 ? 'Unauthenticated' : 'Unknown',
      `failed to authorize: failed to fetch ${kind}: unexpected status from ${byPost ? 'POST' : 'GET'} request to ${url.href}: ${response.status} ${response.body.statusMessage ?? ''}`,
    );
  let answer: { token?: unknown; access_token?: unknown };
  try {
    answer = JSON.parse(bytes.toString());
  } catch (error) {
    throw new ContentError(
      'Unknown',
      `failed to authorize: failed to fetch ${kind}: unable to decode token response`,
      error,
    );
  }
  const token = answer.token || answer.access_token;
  if (typeof token !== 'string' || /[^\x21-\x7e]/.test(token))
    throw new ContentError(
      'Unknown',
      `failed to authorize: failed to fetch ${kind}: authorization server did not include a token in the response`,
    );
  return token;
}

function credentials(auth: RegistryAuth): { username: string; password: string } {
  if ((auth.username ?? '') !== '') return { username: auth.username!, password: auth.password ?? '' };
  const text = Buffer.from(auth.auth ?? '', 'base64').toString();
  const colon = text.indexOf(':');
  if (colon < 0) return { username: '', password: '' };
  // Docker's configuration files end it with zero bytes.
  return { username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, '') };
}

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
