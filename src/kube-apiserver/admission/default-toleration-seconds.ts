/** Pods stay five minutes on a node that is not ready or cannot be reached, unless they say otherwise. Source: plugin DefaultTolerationSeconds. */
import type { AdmissionPlugin } from '../admission.ts';
import { type Fields, isPodCreate, specOf } from './pods.ts';

const seconds = 300;
const taints = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'];

export const defaultTolerationSeconds: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  handles: isPodCreate,
  mutate(request) {
    const spec = specOf(request);
    const tolerations = (spec['tolerations'] ?? []) as readonly Fields[];
    const covers = (key: string) =>
      tolerations.some(
        (toleration) =>
          (toleration['key'] === key || !toleration['key']) &&
          (toleration['effect'] === 'NoExecute' || !toleration['effect']),
      );
    const added = taints
      .filter((key) => !covers(key))
      .map((key) => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: seconds }));
    if (added.length === 0) return request.object;
    return { ...request.object!, spec: { ...spec, tolerations: [...tolerations, ...added] } };
  },
};
