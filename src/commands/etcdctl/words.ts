/** The words of a line that somebody types, with quotes of both kinds: as upstream's interactive modes take them apart. */

export function wordsOf(line: string): string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare]) => bare ?? single ?? unquoted(double!),
  );
}

/** What a backslash stands before is meant as it is. */
export function unquoted(text: string): string {
  return text.replaceAll(/\\(.)/g, '$1');
}
