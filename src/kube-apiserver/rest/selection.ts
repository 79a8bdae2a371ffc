/** Which objects a list or watch is about: namespace, name, label and field selectors in one test. */
import type { FieldRequirement } from '#kube-machinery/field-selector.ts';
import { matches, type Selector } from '#kube-machinery/label-selector.ts';
import type { KubeObject } from '../object.ts';
import type { ServedResource } from '../registry.ts';

export interface Selection {
  readonly labels: Selector;
  readonly fields: readonly FieldRequirement[];
}

export function selects({ labels, fields }: Selection, served: ServedResource): (object: KubeObject) => boolean {
  if (fields.length === 0) {
    if (labels.length === 0) return () => true;
    return (object) => matches(labels, object.metadata.labels);
  }
  const tests = fields.map(({ field, operator, value }) => {
    const read = served.selectorFields[field]!;
    return (object: KubeObject) => (read(object) === value) === (operator === '=');
  });
  return (object) => matches(labels, object.metadata.labels) && tests.every((passes) => passes(object));
}
