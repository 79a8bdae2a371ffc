/** `POST .../serviceaccounts/NAME/token`: a token for an account, for an audience, for a while, bound to a pod, secret or node. Source: TokenREST. */
import { type FieldError, invalid } from '#kube-machinery/field-error.ts';
import {
  badRequestError,
  conflictError,
  failure,
  forbiddenError,
  invalidError,
  notFoundError,
} from '#kube-machinery/status.ts';
import type { TokenSigner } from '#pki/token-signer.ts';
import { header } from '#transport/http.ts';
import { claimsKey, type ServiceAccountClaims } from '../authentication/service-account-token.ts';
import type { KubeObject } from '../object.ts';
import type { ObjectReader } from '../reader.ts';
import { parseBody, readBody } from '../rest/body.ts';
import { timestamp, uuid } from '../rest/create.ts';
import type { SubresourceVerbs } from '../rest/dispatch.ts';
import { readStored } from '../rest/get.ts';
import { writeOptionsOf } from '../rest/options.ts';
import { type RestScope, respondValue } from '../rest/scope.ts';

interface TokenRequestSpec {
  readonly audiences?: readonly string[];
  readonly expirationSeconds?: number;
  readonly boundObjectRef?: {
    readonly kind?: string;
    readonly apiVersion?: string;
    readonly name?: string;
    readonly uid?: string;
  };
}

const defaultSeconds = 3600;
const minSeconds = 600;
const maxSeconds = 2 ** 32;
/** Tokens that pods mount are renewed long before; the real end leaves room for clients that never read the file again. */
const extendedSeconds = 365 * 24 * 3600;
const mountedSeconds = 3607;

export function tokenVerbs(options: {
  readonly signer: TokenSigner;
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly reader: ObjectReader;
}): SubresourceVerbs {
  return {
    async create(scope) {
      const { request, info, deps } = scope;
      writeOptionsOf(info.query, 'CreateOptions');
      const account = await readStored({ ...scope, info: { ...info, query: new URLSearchParams() } });
      const { value } = parseBody(await readBody(request), header(request.headers, 'content-type'), 'TokenRequest');
      if (value === null || typeof value !== 'object' || Array.isArray(value))
        throw badRequestError('expected a TokenRequest');
      const asked = value as unknown as KubeObject & { readonly spec?: TokenRequestSpec };
      const spec = asked.spec ?? {};
      const seconds = spec.expirationSeconds ?? defaultSeconds;
      const errors: FieldError[] = [];
      if (seconds < minSeconds)
        errors.push(invalid('spec.expirationSeconds', seconds, 'may not specify a duration less than 10 minutes'));
      if (seconds > maxSeconds)
        errors.push(invalid('spec.expirationSeconds', seconds, 'may not specify a duration larger than 2^32 seconds'));
      if (errors.length > 0) throw invalidError('authentication.k8s.io', 'TokenRequest', '', errors);
      const audiences = spec.audiences?.length ? spec.audiences : options.audiences;
      const namespace = info.namespace;
      const bound = await boundClaims(spec, namespace, account, options.reader);
      restrictNode(scope, spec, options.reader);
      const nowSeconds = Math.floor(deps.clock.now() / 1000);
      // A kubelet's token for a pod: a longer life, with a warning when the file was not read again in time.
      const mounted =
        bound.pod !== undefined &&
        seconds === mountedSeconds &&
        audiences.every((one) => options.audiences.includes(one));
      const lifetime = mounted ? extendedSeconds : seconds;
      const claims: ServiceAccountClaims = {
        namespace,
        ...bound,
        serviceaccount: { name: info.name, uid: account.metadata.uid! },
        ...(mounted && { warnafter: nowSeconds + seconds }),
      };
      const token = await options.signer.sign({
        aud: audiences,
        exp: nowSeconds + lifetime,
        iat: nowSeconds,
        iss: options.issuer,
        jti: uuid(deps.prng),
        [claimsKey]: claims,
        nbf: nowSeconds,
        sub: `system:serviceaccount:${namespace}:${info.name}`,
      });
      return respondValue(scope, 201, {
        kind: 'TokenRequest',
        apiVersion: 'authentication.k8s.io/v1',
        metadata: { name: info.name, namespace, creationTimestamp: timestamp(deps.clock.now()) },
        spec: { ...spec, audiences, expirationSeconds: seconds },
        status: { token, expirationTimestamp: timestamp((nowSeconds + seconds) * 1000) },
      });
    },
  };
}

const nodeUserPrefix = 'system:node:';

/** A node may have tokens for the pods it runs, and for nothing else. Source: plugin NodeRestriction. */
function restrictNode(
  { user, info }: RestScope,
  { boundObjectRef: ref }: TokenRequestSpec,
  reader: ObjectReader,
): void {
  if (!user.groups.includes('system:nodes') || !user.name.startsWith(nodeUserPrefix)) return;
  const refuse = (why: string) => forbiddenError({ group: '', resource: 'serviceaccounts' }, info.name, why);
  if (ref?.kind !== 'Pod' || !ref.name) throw refuse('node requested token not bound to a pod');
  if (!ref.uid) throw refuse('node requested token with a pod binding without a uid');
  const pod = reader.get({ group: '', resource: 'pods' }, info.namespace, ref.name);
  const { nodeName } = (pod?.['spec'] ?? {}) as { readonly nodeName?: string };
  if (nodeName !== user.name.slice(nodeUserPrefix.length))
    throw refuse('node requested token bound to a pod scheduled on a different node');
}

async function boundClaims(
  { boundObjectRef: ref }: TokenRequestSpec,
  namespace: string,
  account: KubeObject,
  reader: ObjectReader,
): Promise<Pick<ServiceAccountClaims, 'pod' | 'secret' | 'node'>> {
  if (ref === undefined) return {};
  const resource =
    ref.kind === 'Pod' ? 'pods' : ref.kind === 'Secret' ? 'secrets' : ref.kind === 'Node' ? 'nodes' : undefined;
  if (resource === undefined || !ref.name)
    throw badRequestError(`cannot bind token to object of type ${ref.apiVersion ?? ''}, Kind=${ref.kind ?? ''}`);
  const object = await reader.getLatest({ group: '', resource }, resource === 'nodes' ? '' : namespace, ref.name);
  if (object === undefined) throw notFoundError({ group: '', resource }, ref.name);
  const uid = object.metadata.uid!;
  if (ref.uid && ref.uid !== uid)
    throw conflictError(
      { group: '', resource },
      ref.name,
      `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  const bound = { name: ref.name, uid };
  if (resource === 'secrets') return { secret: bound };
  if (resource === 'nodes') return { node: bound };
  const spec = (object['spec'] ?? {}) as { readonly serviceAccountName?: string; readonly nodeName?: string };
  if (spec.serviceAccountName !== account.metadata.name)
    throw failure(
      400,
      'BadRequest',
      `cannot bind token for serviceaccount ${JSON.stringify(account.metadata.name)} to pod running with different serviceaccount name.`,
    );
  const node = spec.nodeName ? reader.get({ group: '', resource: 'nodes' }, '', spec.nodeName) : undefined;
  return {
    pod: bound,
    ...(spec.nodeName && { node: { name: spec.nodeName, ...(node?.metadata.uid && { uid: node.metadata.uid }) } }),
  };
}
