/**
 * Which tests can break by what has changed: since the branch left the main line, and in the working tree. A test depends on every file that it reaches by imports,
 * types included; on a change that this cannot see through (generated code, the tools, packages) every test counts.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

/**
 * Paths from the root, the old ones of files that were moved among them; undefined where git cannot tell, and every test counts: not a clone, no git on this
 * machine, no main line, or one that has nothing in common with the branch.
 */
export function changedFiles(root: string): Set<string> | undefined {
  const git = (...args: string[]) => {
    const { status, stdout } = spawnSync('git', ['-C', root, ...args], { encoding: 'utf8' });
    return status === 0 ? stdout : undefined;
  };
  const base = ['origin/HEAD', 'main'].map((name) => git('merge-base', 'HEAD', name)?.trim()).find(Boolean);
  const lists = [
    base === undefined ? undefined : git('diff', '--name-only', '--no-renames', '--relative', '-z', base),
    git('ls-files', '--others', '--exclude-standard', '-z'),
  ];
  if (lists.includes(undefined)) return undefined;
  return new Set(lists.flatMap((list) => list!.split('\0')).filter((path) => path !== ''));
}

/**
 * @param tests absolute paths
 * @returns those of them that a change of these files can break
 */
export function testsOf(root: string, tests: readonly string[], changed: ReadonlySet<string>): string[] {
  if ([...changed].some(touchesEverything)) return [...tests];
  const documentation = [...changed].some(
    (path) => path.endsWith('.md') || path.startsWith('e2e/') || path === '.ci/run',
  );
  const graph = new Map<string, readonly string[]>();
  const isChanged = (path: string) => {
    const name = relative(root, path);
    return changed.has(name) || (name !== '' && [...changed].some((each) => each.startsWith(`${name}/`)));
  };
  return tests.filter((test) => {
    const name = relative(root, test);
    if (documentation && name === 'tools/docs.test.ts') return true;
    return reaches(test, isChanged, join(root, 'src'), graph);
  });
}

function touchesEverything(path: string): boolean {
  return /^(package(-lock)?\.json|tsconfig\.json|tools\/(?!.*\.test\.ts$|docs\.ts$)|native\/)|\.proto$/.test(path);
}

function reaches(
  start: string,
  isWanted: (path: string) => boolean,
  source: string,
  graph: Map<string, readonly string[]>,
): boolean {
  const seen = new Set([start]);
  for (const path of seen) {
    if (isWanted(path)) return true;
    let next = graph.get(path);
    if (next === undefined) graph.set(path, (next = importsOf(path, source)));
    for (const target of next) seen.add(target);
  }
  return false;
}

/**
 * Files and folders that a file names, from where it stands or by the part they belong to: what it imports, what it reads, starts or runs in a thread. A launcher runs
 * the whole product.
 */
export function importsOf(path: string, source: string): string[] {
  if (!existsSync(path)) return [];
  if (path.startsWith(join(source, '../bin/'))) return [join(source, 'commands/main.ts')];
  if (!path.endsWith('.ts')) return [];
  const text = readFileSync(path, 'utf8');
  const names = [...text.matchAll(/'((?:#[\w-]+|\.\.?)\/[^'\n]*)'/g), ...text.matchAll(/new URL\(\s*'([^'\n]+)'/g)];
  return names.map(([, name]) => (name!.startsWith('#') ? join(source, name!.slice(1)) : resolve(path, '..', name!)));
}
