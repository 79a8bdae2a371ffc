/** Which objects a list or watch is about: namespace, name, label and field selectors in one test. */
import type { FieldRequirement } from '#kube-machinery/field-selector.ts';
import { matches, type Selector } from '#kube-machinery/label-selector.ts';
import type { ServedResource } from '../registry.ts';
import type { StoredObject } from '../storage/stored-object.ts';

export interface Selection {
  readonly labels: Selector;
  readonly fields: readonly FieldRequirement[];
}

/** The test that lets all pass: nobody need look at the object. */
export const everything = (_item: StoredObject): boolean => true;

export function selects({ labels, fields }: Selection, served: ServedResource): (item: StoredObject) => boolean {
  if (fields.length === 0) {
    if (labels.length === 0) return everything;
    return ({ object }) => matches(labels, object.metadata.labels);
  }
  const tests = fields.map(({ field, operator, value }) => {
    const read = served.selectorFields[field]!;
    return ({ object }: StoredObject) => (read(object) === value) === (operator === '=');
  });
  return (item) => matches(labels, item.object.metadata.labels) && tests.every((passes) => passes(item));
}
