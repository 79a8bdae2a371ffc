/**
 * Label selectors: the text form of queries (`a=b,c in (d,e),!f`) and the object form of specs (`matchLabels`,
 * `matchExpressions`). Upstream's grammar and error texts (apimachinery's labels package).
 */
import { labelValueProblems, qualifiedNameProblems } from './names.ts';

export type Operator = 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt';

export interface Requirement {
  readonly key: string;
  readonly operator: Operator;
  readonly values: readonly string[];
}

/** Requirements that must all hold; none matches everything. */
export type Selector = readonly Requirement[];

export type Labels = Readonly<Record<string, string>>;

export interface LabelSelector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

export class SelectorError extends Error {
  override readonly name = 'SelectorError';
}

export function matches(selector: Selector, labels: Labels | undefined): boolean {
  for (const { key, operator, values } of selector) {
    const value = labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
    switch (operator) {
      case 'In':
        if (value === undefined || !values.includes(value)) return false;
        break;
      case 'NotIn':
        if (value !== undefined && values.includes(value)) return false;
        break;
      case 'Exists':
        if (value === undefined) return false;
        break;
      case 'DoesNotExist':
        if (value !== undefined) return false;
        break;
      case 'Gt':
      case 'Lt': {
        if (value === undefined || !/^-?\d+$/.test(value)) return false;
        const difference = BigInt(value) - BigInt(values[0]!);
        if (operator === 'Gt' ? difference <= 0n : difference >= 0n) return false;
        break;
      }
    }
  }
  return true;
}

/** The object form; undefined selects nothing, an empty one everything. */
export function selectorOf(selector: LabelSelector | undefined): Selector | undefined {
  if (selector === undefined) return undefined;
  return [
    ...Object.entries(selector.matchLabels ?? {}).map(
      ([key, value]): Requirement => ({ key, operator: 'In', values: [value] }),
    ),
    ...(selector.matchExpressions ?? []).map(
      ({ key, operator, values = [] }): Requirement => ({ key, operator: operator as Operator, values }),
    ),
  ];
}

/** A plain map as a selector, as Services and ReplicationControllers have it. */
export function selectorOfMap(map: Labels): Selector {
  return Object.entries(map).map(([key, value]): Requirement => ({ key, operator: 'In', values: [value] }));
}

/** @throws SelectorError */
export function parseSelector(text: string): Selector {
  const tokens = tokenize(text);
  const requirements: Requirement[] = [];
  let at = 0;
  const peek = () => tokens[at] ?? '';
  if (tokens.length === 0) return requirements;
  for (;;) {
    requirements.push(requirement());
    if (at >= tokens.length) return requirements;
    if (peek() !== ',') throw unable(text, `found '${peek()}', expected: ',' or 'end of string'`);
    at++;
    if (at >= tokens.length) throw unable(text, "found '', expected: identifier after ','");
  }

  function requirement(): Requirement {
    const negated = peek() === '!';
    if (negated) at++;
    const key = tokens[at++] ?? '';
    if (symbols.has(key) || key === '')
      throw unable(text, `found '${key}', expected: !, identifier, or 'end of string'`);
    check(key, qualifiedNameProblems(key));
    if (negated) return { key, operator: 'DoesNotExist', values: [] };
    const operator = peek();
    if (operator === '' || operator === ',') return { key, operator: 'Exists', values: [] };
    at++;
    switch (operator) {
      case '=':
      case '==':
        return { key, operator: 'In', values: [single()] };
      case '!=':
        return { key, operator: 'NotIn', values: [single()] };
      case 'in':
        return { key, operator: 'In', values: set() };
      case 'notin':
        return { key, operator: 'NotIn', values: set() };
      case '>':
      case '<': {
        const value = single();
        if (!/^-?\d+$/.test(value))
          throw unable(
            text,
            `values[0][${key}]: Invalid value: ${JSON.stringify(value)}: for 'Gt', 'Lt' operators, the value must be an integer`,
          );
        return { key, operator: operator === '>' ? 'Gt' : 'Lt', values: [value] };
      }
      default:
        throw unable(text, `found '${operator}', expected: in, notin, =, ==, !=, gt, lt`);
    }
  }

  function single(): string {
    const value = peek();
    if (value === '' || value === ',') return '';
    if (symbols.has(value)) throw unable(text, `found '${value}', expected: identifier`);
    at++;
    check(value, labelValueProblems(value));
    return value;
  }

  function set(): string[] {
    if (tokens[at++] !== '(') throw unable(text, `found '${tokens[at - 1] ?? ''}', expected: '('`);
    const values: string[] = [];
    for (;;) {
      const value = peek();
      if (value === ')') {
        at++;
        if (values.length === 0) values.push('');
        return [...new Set(values)].sort();
      }
      if (value === ',') {
        at++;
        if (values.length === 0 || peek() === ',' || peek() === ')') values.push('');
        continue;
      }
      if (value === '') throw unable(text, "found '', expected: ',', ')' or identifier");
      at++;
      check(value, labelValueProblems(value));
      values.push(value);
    }
  }

  function check(value: string, problems: readonly string[]): void {
    if (problems.length > 0) throw unable(text, `Invalid value: ${JSON.stringify(value)}: ${problems.join('; ')}`);
  }
}

/** The text form, keys sorted. */
export function formatSelector(selector: Selector): string {
  return [...selector]
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(formatRequirement)
    .join(',');
}

function formatRequirement({ key, operator, values }: Requirement): string {
  switch (operator) {
    case 'In':
      return values.length === 1 ? `${key}=${values[0]}` : `${key} in (${[...values].sort().join(',')})`;
    case 'NotIn':
      return values.length === 1 ? `${key}!=${values[0]}` : `${key} notin (${[...values].sort().join(',')})`;
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
    case 'Gt':
      return `${key}>${values[0]}`;
    case 'Lt':
      return `${key}<${values[0]}`;
  }
}

const symbols = new Set(['(', ')', ',', '!', '=', '==', '!=', '>', '<']);

function tokenize(text: string): string[] {
  return text.match(/[(),]|==|!=|[=!<>]|[^\s(),=!<>]+/g) ?? [];
}

function unable(text: string, reason: string): SelectorError {
  return new SelectorError(`unable to parse requirement: ${reason}`, { cause: text });
}
