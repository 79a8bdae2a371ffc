/** Field selectors: `status.phase!=Running,metadata.name=a`. Source: k8s.io/apimachinery fields.ParseSelector. */
import { badRequestError } from './status.ts';

export interface FieldRequirement {
  readonly field: string;
  readonly operator: '=' | '!=';
  readonly value: string;
}

/** @throws StatusError BadRequest */
export function parseFieldSelector(text: string): readonly FieldRequirement[] {
  const requirements: FieldRequirement[] = [];
  for (const term of terms(text)) {
    if (term === '') continue;
    const match = /^(.*?)(!=|==|=)(.*)$/s.exec(term);
    if (match === null) throw badRequestError(`invalid selector: '${text}'; can't understand '${term}'`);
    const [, field, operator, value] = match;
    requirements.push({ field: field!, operator: operator === '!=' ? '!=' : '=', value: unescaped(value!) });
  }
  return requirements;
}

export function matchesFields(
  requirements: readonly FieldRequirement[],
  fields: Readonly<Record<string, string>>,
): boolean {
  return requirements.every(({ field, operator, value }) => ((fields[field] ?? '') === value) === (operator === '='));
}

/** Splits at commas that no backslash escapes. */
function terms(text: string): string[] {
  const found: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === ',') {
      found.push(text.slice(start, i));
      start = i + 1;
    }
  }
  found.push(text.slice(start));
  return found;
}

/** @throws StatusError BadRequest */
function unescaped(value: string): string {
  let plain = '';
  for (let i = 0; i < value.length; i++) {
    const character = value[i]!;
    if (character === '\\') {
      const next = value[++i];
      if (next !== '\\' && next !== ',' && next !== '=')
        throw badRequestError(`invalid field selector value '${value}': unrecognized escape`);
      plain += next;
    } else if (character === '=')
      throw badRequestError(`invalid field selector: unescaped character in value: ${value}`);
    else plain += character;
  }
  return plain;
}
