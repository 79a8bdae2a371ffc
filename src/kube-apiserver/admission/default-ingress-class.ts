/** An ingress that names no class gets the one marked as the default. Source: plugin DefaultIngressClass. */
import type { AdmissionPlugin } from '../admission.ts';
import type { KubeObject } from '../object.ts';
import type { ObjectReader } from '../reader.ts';
import { specOf } from './pods.ts';

const group = 'networking.k8s.io';
const isDefault = 'ingressclass.kubernetes.io/is-default-class';
/** The way of naming a class before there was a field for it. */
const classAnnotation = 'kubernetes.io/ingress.class';

export function defaultIngressClass(reader: ObjectReader): AdmissionPlugin {
  return {
    name: 'DefaultIngressClass',
    handles: ({ operation, resource, subresource }) =>
      operation === 'CREATE' && resource.group === group && resource.resource === 'ingresses' && subresource === '',
    mutate(request) {
      const ingress = request.object!;
      const spec = specOf(request);
      if (spec['ingressClassName'] !== undefined && spec['ingressClassName'] !== null) return ingress;
      if (ingress.metadata.annotations?.[classAnnotation] !== undefined) return ingress;
      const defaults = [...reader.list({ group, resource: 'ingressclasses' })].filter(
        ({ metadata }) => metadata.annotations?.[isDefault] === 'true',
      );
      const [chosen] = defaults.sort(newestFirst);
      if (chosen === undefined) return ingress;
      return { ...ingress, spec: { ...spec, ingressClassName: chosen.metadata.name } };
    },
  };
}

/** Of several, the one made last; of those made together, the first by name. */
function newestFirst({ metadata: a }: KubeObject, { metadata: b }: KubeObject): number {
  const [left, right] = [a.creationTimestamp ?? '', b.creationTimestamp ?? ''];
  if (left !== right) return left < right ? 1 : -1;
  return a.name! < b.name! ? -1 : 1;
}
