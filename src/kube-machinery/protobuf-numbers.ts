/** The field numbers of built-in types, from the text of the facts table to what a reader and a writer need. */
import { fieldNumbers } from '#api-kube/field-numbers.ts';

/** What each number of a message is, in ascending order. */
export type Numbers = ReadonlyMap<number, NumberedField>;

export type NumberedField =
  | { readonly kind: 'field'; readonly name: string; readonly keepZero: boolean }
  /** A message whose fields stand in the outer object. */
  | { readonly kind: 'inline'; readonly type: string };

/** All tables, read once. */
const tables: ReadonlyMap<string, Numbers> = new Map(
  Object.entries(fieldNumbers).map(([type, text]) => [type, readNumbers(text)]),
);

/** @param type as `core/v1.PodSpec`; empty where nothing is known. */
export function numbersOf(type: string): Numbers {
  return tables.get(type) ?? new Map();
}

function readNumbers(text: string): Numbers {
  const numbers = new Map<number, NumberedField>();
  for (const entry of text.split(' ')) {
    const match = /^(\d+)(\*?)=(>?)(.+)$/.exec(entry);
    if (match === null) continue;
    const [, number, star, inline, name] = match;
    numbers.set(
      Number(number),
      inline ? { kind: 'inline', type: name! } : { kind: 'field', name: name!, keepZero: star === '*' },
    );
  }
  return numbers;
}
