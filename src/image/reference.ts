/**
 * Image references: `[domain/]path[:tag][@digest]`, and the normal form that Docker made common: `busybox` means
 * `docker.io/library/busybox:latest`. Error texts are those of github.com/distribution/reference, since users see them in events.
 */
import { type Digest, isDigest } from '#api-oci/digest.ts';
import { ContentError } from './error.ts';

export interface Reference {
  /** Host, and port if any: `docker.io`, `localhost:5000`. */
  readonly domain: string;
  /** `library/busybox`. */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

const nameLengthMax = 255;
const defaultDomain = 'docker.io';
const legacyDefaultDomain = 'index.docker.io';
const component = '[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*';
const domainComponent = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const domain = `(?:${domainComponent}(?:\\.${domainComponent})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const referenceGrammar = new RegExp(
  `^((?:${domain}/)?${component}(?:/${component})*)(?::([\\w][\\w.-]{0,127}))?(?:@([A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?$`,
);
const anchoredDomain = new RegExp(`^(${domain})/(.+)$`);
const identifier = /^[a-f0-9]{64}$/;

/** Reads a reference as a user writes it. A name alone gets the tag `latest`; of tag and digest, the digest is kept. */
export function parseReference(text: string): Reference {
  const reference = parseNormalizedReference(text);
  if (reference.digest !== undefined)
    return { domain: reference.domain, path: reference.path, digest: reference.digest };
  return { ...reference, tag: reference.tag ?? 'latest' };
}

/** As {@link parseReference}, leaving tag and digest as they are written. */
export function parseNormalizedReference(text: string): Reference {
  if (identifier.test(text))
    throw invalid(`invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`);
  const [host, remainder] = splitDomain(text);
  const nameEnd = remainder.search(/[:@]/);
  const remoteName = nameEnd < 0 ? remainder : remainder.slice(0, nameEnd);
  if (remoteName.toLowerCase() !== remoteName)
    throw invalid(`invalid reference format: repository name (${remoteName}) must be lowercase`);
  const match = referenceGrammar.exec(`${host}/${remainder}`);
  if (match === null) throw invalid('invalid reference format');
  const [, name, tag, digest] = match;
  if (name!.length - host.length - 1 > nameLengthMax)
    throw invalid(`repository name must not be more than ${nameLengthMax} characters`);
  if (digest !== undefined && !isDigest(digest)) throw invalid('invalid reference format');
  const split = anchoredDomain.exec(name!);
  if (split === null) throw invalid('invalid reference format');
  return {
    domain: split[1]!,
    path: split[2]!,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest: digest as Digest }),
  };
}

export function formatReference({ domain, path, tag, digest }: Reference): string {
  return `${domain}/${path}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

function splitDomain(text: string): [domain: string, remainder: string] {
  const slash = text.indexOf('/');
  const first = text.slice(0, slash);
  let host = defaultDomain;
  let remainder = text;
  if (slash >= 0 && (/[.:]/.test(first) || first === 'localhost' || first.toLowerCase() !== first)) {
    host = first;
    remainder = text.slice(slash + 1);
  }
  if (host === legacyDefaultDomain) host = defaultDomain;
  if (host === defaultDomain && !remainder.includes('/')) remainder = `library/${remainder}`;
  return [host, remainder];
}

function invalid(message: string): ContentError {
  return new ContentError('InvalidArgument', message);
}
