/** A new node takes no pods until its kubelet has said that it is ready: the node controller lifts the taint. Source: plugin TaintNodesByCondition. */
import type { AdmissionPlugin } from '../admission.ts';
import { specOf } from './pods.ts';

const notReady = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };

export const taintNodesByCondition: AdmissionPlugin = {
  name: 'TaintNodesByCondition',
  handles: ({ operation, resource, subresource }) =>
    operation === 'CREATE' && resource.resource === 'nodes' && resource.group === '' && subresource === '',
  mutate(request) {
    const spec = specOf(request);
    const taints = (spec['taints'] ?? []) as readonly { readonly key: string; readonly effect: string }[];
    if (taints.some(({ key, effect }) => key === notReady.key && effect === notReady.effect)) return request.object;
    return { ...request.object!, spec: { ...spec, taints: [...taints, notReady] } };
  },
};
