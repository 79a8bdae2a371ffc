/** The table of what is not a plain object: subresources and reviews, by resource. */
import type { TokenSigner } from '#pki/token-signer.ts';
import type { Authorizer } from '../attributes.ts';
import type { Rbac } from '../authorization/rbac.ts';
import type { ObjectReader } from '../reader.ts';
import type { Subresources, SubresourceVerbs } from '../rest/dispatch.ts';
import { get } from '../rest/get.ts';
import { patch } from '../rest/patch.ts';
import { update } from '../rest/update.ts';
import type { UserInfo } from '../user.ts';
import { bindingVerbs, legacyBindingVerbs } from './binding.ts';
import { evictionVerbs } from './eviction.ts';
import { type KubeletDialer, kubeletVerbs } from './kubelet-proxy.ts';
import { reviewVerbs } from './reviews.ts';
import { scaleVerbs } from './scale.ts';
import { tokenVerbs } from './token.ts';

export function createSubresources(deps: {
  readonly dialKubelet: KubeletDialer;
  readonly signer: TokenSigner;
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly reader: ObjectReader;
  readonly authorize: Authorizer;
  readonly grantsFor: Rbac['grantsFor'];
  readonly verifyToken: (token: string, audiences?: readonly string[]) => Promise<UserInfo | undefined>;
}): Subresources {
  const kubelet = kubeletVerbs(deps.dialKubelet);
  const reviews = reviewVerbs(deps);
  const table: Readonly<Record<string, SubresourceVerbs>> = {
    'pods/log': kubelet.log,
    'pods/exec': kubelet.exec,
    'pods/attach': kubelet.attach,
    'pods/portforward': kubelet.portforward,
    'pods/binding': bindingVerbs,
    'pods/eviction': evictionVerbs,
    bindings: legacyBindingVerbs,
    'certificatesigningrequests.certificates.k8s.io/approval': { get, update, patch },
    'namespaces/finalize': { update },
    'serviceaccounts/token': tokenVerbs(deps),
    'replicationcontrollers/scale': scaleVerbs,
    'deployments.apps/scale': scaleVerbs,
    'replicasets.apps/scale': scaleVerbs,
    'statefulsets.apps/scale': scaleVerbs,
    ...reviews,
  };
  return {
    find: (group, resource, subresource) =>
      table[`${group === '' ? resource : `${resource}.${group}`}${subresource === '' ? '' : `/${subresource}`}`],
  };
}
