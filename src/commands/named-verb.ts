/** What a word of a command line means among verbs of one word or two, where the beginning of a name is enough: `etcdctl compact`, `etcdutl snap status`. */

/**
 * The name after `path` (empty, or a group's name and a space) that `word` is, or the only one that begins with it; undefined where there is none,
 * or more than one. As cobra does with `EnablePrefixMatching`, which upstream's etcdctl and etcdutl have on.
 */
export function namedVerb(word: string, path: string, verbs: readonly string[]): string | undefined {
  const under = verbs.filter((verb) => verb.startsWith(path)).map((verb) => verb.slice(path.length).split(' ')[0]!);
  const names = [...new Set(under)];
  if (names.includes(word)) return word;
  const meant = names.filter((name) => name.startsWith(word));
  return meant.length === 1 ? meant[0] : undefined;
}
