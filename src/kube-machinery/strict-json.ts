/**
 * Reads JSON that strangers sent: bounded depth, no number that a double cannot hold, no key that reaches into prototypes, and
 * duplicate keys reported. RFC 8259. What the values mean is not its business.
 */

export class JsonError extends Error {
  override readonly name = 'JsonError';
  /** Offset in characters. */
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export type JsonObject = { readonly [key: string]: Json };

/** The value as an object; undefined for lists and everything else that is none. */
export function objectOf(value: Json | undefined): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

export interface ParsedJson {
  readonly value: Json;
  /** Paths of keys that stand twice in their object, `spec.replicas`; the later one counts. */
  readonly duplicates: readonly string[];
}

export const depthMax = 500;
const duplicatesMax = 100;

export interface ParseOptions {
  /** Integers beyond 2^53 are an error, or come as the text of their digits. */
  readonly wideIntegers?: 'error' | 'text';
}

/** @throws JsonError */
export function parseJson(text: string, { wideIntegers = 'error' }: ParseOptions = {}): ParsedJson {
  const duplicates: string[] = [];
  const path: (string | number)[] = [];
  let at = 0;

  const fail = (message: string): never => {
    throw new JsonError(message, at);
  };
  const unexpected = (where: string): never =>
    at >= text.length
      ? fail('unexpected end of JSON input')
      : fail(`invalid character ${quoteCharacter(text[at]!)} ${where}`);
  const space = () => {
    for (;;) {
      const code = text.charCodeAt(at);
      if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return;
      at++;
    }
  };

  function value(): Json {
    space();
    switch (text.charCodeAt(at)) {
      case 123:
        return object();
      case 91:
        return array();
      case 34:
        return string();
      case 116:
        return literal('true', true);
      case 102:
        return literal('false', false);
      case 110:
        return literal('null', null);
      default:
        return number();
    }
  }

  function literal<T extends Json>(word: string, result: T): T {
    for (let i = 0; i < word.length; i++, at++)
      if (text[at] !== word[i]) unexpected(`in literal ${word} (expecting '${word[i]}')`);
    return result;
  }

  function object(): Json {
    if (path.length >= depthMax) fail('exceeded max depth');
    const result: Record<string, Json> = {};
    at++;
    space();
    if (text.charCodeAt(at) === 125) {
      at++;
      return result;
    }
    for (;;) {
      space();
      if (text.charCodeAt(at) !== 34) unexpected('looking for beginning of object key string');
      const key = string();
      space();
      if (text.charCodeAt(at) !== 58) unexpected('after object key');
      at++;
      path.push(key);
      if (Object.hasOwn(result, key) && duplicates.length < duplicatesMax) duplicates.push(formatPath(path));
      const member = value();
      path.pop();
      if (key === '__proto__')
        Object.defineProperty(result, key, { value: member, enumerable: true, configurable: true, writable: true });
      else result[key] = member;
      space();
      const code = text.charCodeAt(at);
      if (code === 44) at++;
      else if (code === 125) {
        at++;
        return result;
      } else unexpected('after object key:value pair');
    }
  }

  function array(): Json {
    if (path.length >= depthMax) fail('exceeded max depth');
    const result: Json[] = [];
    at++;
    space();
    if (text.charCodeAt(at) === 93) {
      at++;
      return result;
    }
    for (;;) {
      path.push(result.length);
      result.push(value());
      path.pop();
      space();
      const code = text.charCodeAt(at);
      if (code === 44) at++;
      else if (code === 93) {
        at++;
        return result;
      } else unexpected('after array element');
    }
  }

  function string(): string {
    const start = ++at;
    for (;;) {
      const code = text.charCodeAt(at);
      if (code === 34) {
        const plain = text.slice(start, at);
        at++;
        return plain;
      }
      if (code === 92) return escapedString(start);
      if (Number.isNaN(code)) fail('unexpected end of JSON input');
      if (code < 32) unexpected('in string literal');
      at++;
    }
  }

  function escapedString(start: number): string {
    let result = text.slice(start, at);
    for (;;) {
      const code = text.charCodeAt(at);
      if (code === 34) {
        at++;
        return result;
      }
      if (Number.isNaN(code)) fail('unexpected end of JSON input');
      if (code < 32) unexpected('in string literal');
      if (code !== 92) {
        result += text[at++];
        continue;
      }
      at++;
      const simple = escapes[text[at] ?? ''];
      if (simple !== undefined) {
        result += simple;
        at++;
      } else if (text[at] === 'u') {
        const digits = text.slice(at + 1, at + 5);
        if (!/^[0-9a-fA-F]{4}$/.test(digits))
          fail(`invalid character ${quoteCharacter(digits[0] ?? '')} in \\u hexadecimal character escape`);
        result += String.fromCharCode(Number.parseInt(digits, 16));
        at += 5;
      } else unexpected('in string escape code');
    }
  }

  function number(): number | string {
    numberPattern.lastIndex = at;
    const match = numberPattern.exec(text);
    if (match === null) return unexpected('looking for beginning of value');
    const digits = match[0];
    const result = Number(digits);
    if (!Number.isFinite(result)) fail(`number ${digits} is out of range`);
    const wide = match[1] === undefined && !Number.isSafeInteger(result);
    if (wide && wideIntegers === 'error') fail(`integer ${digits} is beyond 2^53`);
    at += digits.length;
    return wide ? digits : result;
  }

  const result = value();
  space();
  if (at < text.length) unexpected('after top-level value');
  return { value: result, duplicates };
}

const numberPattern = /-?(?:0|[1-9]\d*)(\.\d+(?:[eE][+-]?\d+)?|[eE][+-]?\d+)?/y;
const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

function quoteCharacter(character: string): string {
  return character === "'" ? "'\\''" : `'${character}'`;
}

function formatPath(path: readonly (string | number)[]): string {
  return path.map((step, i) => (typeof step === 'number' ? `[${step}]` : i === 0 ? step : `.${step}`)).join('');
}
