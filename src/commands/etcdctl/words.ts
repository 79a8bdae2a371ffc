/** The words of a line that somebody types, with quotes of both kinds: as upstream's interactive modes take them apart. */

export function wordsOf(line: string): string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare]) => bare ?? single ?? unquoted(double!),
  );
}

const controls: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** Go's escapes: `\x23`, `\n`, `\u00e4`; anything else behind a backslash is meant as it is. */
export function unquoted(text: string): string {
  return text.replaceAll(
    /((?:\\x[0-9a-fA-F]{2})+)|\\u([0-9a-fA-F]{4})|\\(.)/g,
    (_, bytes: string | undefined, unit: string | undefined, sign: string) => {
      // Several bytes may be one character.
      if (bytes !== undefined) return Buffer.from(bytes.replaceAll('\\x', ''), 'hex').toString();
      return unit === undefined ? (controls[sign] ?? sign) : String.fromCharCode(Number.parseInt(unit, 16));
    },
  );
}
