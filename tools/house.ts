/**
 * The house rules that a machine can check: layers and their built-ins and packages (`layers.ts`), import cycles, banned
 * names with their replacement, file headers and sizes. Reads sources as syntax trees, never as text matches.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join, relative, resolve } from 'node:path';
import { parseSync, Visitor } from 'oxc-parser';
import { devLayer, type Part, parts } from '../layers.ts';

const linesMax = 800;
/** Tables that a tool extracts and people do not read top to bottom. */
const extracted = new Set(['src/api-kube/facts.ts', 'src/api-kube/field-numbers.ts']);
const builtins = new Set(builtinModules);

/** Identifiers that only some parts may touch, with what to use instead. */
const banned: readonly { readonly name: string; readonly instead: string }[] = [
  { name: 'Date', instead: 'take a Clock (#std/clock.ts)' },
  { name: 'performance', instead: 'take a Clock (#std/clock.ts)' },
  { name: 'setTimeout', instead: 'take a Clock (#std/clock.ts)' },
  { name: 'setInterval', instead: 'take a Clock (#std/clock.ts)' },
  { name: 'Math.random', instead: 'take a Prng (#std/prng.ts)' },
  { name: 'crypto.randomUUID', instead: 'take a Prng (#std/prng.ts)' },
  { name: 'AbortSignal.timeout', instead: 'take a Clock (#std/clock.ts)' },
  { name: 'process.env', instead: 'take configuration by constructor' },
];
const mayTouchTheMachine = new Set(['host', 'host-linux', 'commands', 'testkit']);
/** `new Date(ms)`, `Date.parse` and `Date.UTC` only compute: they read no clock. */
const pureDateMembers = new Set(['parse', 'UTC']);

export function checkHouse(root: string): string[] {
  const source = join(root, 'src');
  const files = listSources(source);
  const findings: string[] = [];
  const graph = new Map<string, string[]>();
  for (const file of files) {
    const text = readFileSync(file, 'utf8');
    const name = relative(root, file);
    const partName = relative(source, file).split('/')[0]!;
    const part = parts[partName];
    if (part === undefined) {
      findings.push(`${name}: folder ${partName} is not in layers.ts`);
      continue;
    }
    const test = isTest(file) || part.layer === devLayer;
    const generated = file.includes('/gen/');
    if (!generated && !text.trimStart().startsWith('/**'))
      findings.push(`${name}: opens without saying what it is (/** ... */)`);
    const lines = text.split('\n').length;
    if (!generated && !extracted.has(name) && lines > linesMax)
      findings.push(`${name}: ${lines} lines, over ${linesMax}: split it by verb`);
    const { imports, uses } = read(file, text);
    const targets: string[] = [];
    for (const { specifier, typeOnly } of imports) {
      const problem = checkImport({ source, file, partName, part, specifier, test, typeOnly });
      if (problem !== undefined) findings.push(`${name}: ${problem}`);
      const target = locate(source, file, specifier);
      if (target !== undefined && !typeOnly) targets.push(target);
    }
    graph.set(file, targets);
    if (!test && !generated && !mayTouchTheMachine.has(partName))
      for (const { name: used, offset } of uses) {
        const ban = banned.find((entry) => entry.name === used);
        const line = () => text.slice(0, offset).split('\n').length;
        if (ban !== undefined) findings.push(`${name}:${line()}: ${used} is banned here; ${ban.instead}`);
      }
  }
  for (const cycle of cycles(graph))
    findings.push(`import cycle: ${cycle.map((file) => relative(root, file)).join(' -> ')}`);
  return findings;
}

function isTest(file: string): boolean {
  return /\.(test|root\.test|suite|bench)\.ts$/.test(file);
}

function listSources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.d.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function locate(source: string, file: string, specifier: string): string | undefined {
  if (specifier.startsWith('#')) return join(source, specifier.slice(1));
  if (specifier.startsWith('.')) return resolve(file, '..', specifier);
  return undefined;
}

interface ImportToCheck {
  source: string;
  file: string;
  partName: string;
  part: Part;
  specifier: string;
  test: boolean;
  typeOnly: boolean;
}

function checkImport({ source, file, partName, part, specifier, test }: ImportToCheck): string | undefined {
  const target = locate(source, file, specifier);
  if (target === undefined) {
    if (test) return undefined;
    const bare = specifier.startsWith('node:') ? specifier.slice(5) : specifier;
    if (specifier.startsWith('node:') || builtins.has(bare)) {
      if (part.node === '*' || part.node?.includes(`node:${bare}`)) return undefined;
      return `${partName} may not import ${specifier}`;
    }
    const name = specifier
      .split('/')
      .slice(0, specifier.startsWith('@') ? 2 : 1)
      .join('/');
    return part.packages?.includes(name) ? undefined : `${partName} may not import the package ${name}`;
  }
  const targetName = relative(source, target).split('/')[0]!;
  // The manifest belongs to everybody: it names the version.
  if (target === resolve(source, '..', 'package.json')) return undefined;
  if (targetName === partName)
    return specifier.startsWith('#') ? `imports its own part as ${specifier}; use a relative path` : undefined;
  if (specifier.startsWith('.')) return `leaves its part by ${specifier}; use #${relative(source, target)}`;
  if (test) return undefined;
  const targetPart = parts[targetName];
  if (targetPart === undefined) return `imports the unknown part ${targetName}`;
  if (targetPart.layer < part.layer || part.edges?.includes(targetName)) return undefined;
  return `${partName} (layer ${part.layer}) may not import ${targetName} (layer ${targetPart.layer})`;
}

interface Reading {
  imports: { specifier: string; typeOnly: boolean }[];
  uses: { name: string; offset: number }[];
}

function read(file: string, text: string): Reading {
  const parsed = parseSync(file, text);
  const imports: Reading['imports'] = [];
  for (const entry of parsed.module.staticImports)
    imports.push({
      specifier: entry.moduleRequest.value,
      typeOnly: entry.entries.length > 0 && entry.entries.every((binding) => binding.isType),
    });
  for (const entry of parsed.module.staticExports)
    for (const item of entry.entries)
      if (item.moduleRequest) imports.push({ specifier: item.moduleRequest.value, typeOnly: item.isType });
  const uses: Reading['uses'] = [];
  new Visitor({
    MemberExpression(expression) {
      if (expression.object.type !== 'Identifier' || expression.computed || expression.property.type !== 'Identifier')
        return;
      const { name } = expression.object;
      if (name === 'Date' && pureDateMembers.has(expression.property.name)) return;
      uses.push({ name: `${name}.${expression.property.name}`, offset: expression.start });
      if (name === 'Date' || name === 'performance') uses.push({ name, offset: expression.start });
    },
    CallExpression(call) {
      if (call.callee.type === 'Identifier') uses.push({ name: call.callee.name, offset: call.start });
    },
    NewExpression(expression) {
      if (expression.callee.type === 'Identifier' && expression.arguments.length === 0)
        uses.push({ name: expression.callee.name, offset: expression.start });
    },
  }).visit(parsed.program);
  return { imports, uses };
}

/** Strongly connected components of more than one file (Tarjan). */
function cycles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = [];
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const onStack = new Set<string>();
  const visit = (node: string): void => {
    index.set(node, index.size);
    low.set(node, index.get(node)!);
    stack.push(node);
    onStack.add(node);
    for (const next of graph.get(node) ?? []) {
      if (!graph.has(next)) continue;
      if (!index.has(next)) {
        visit(next);
        low.set(node, Math.min(low.get(node)!, low.get(next)!));
      } else if (onStack.has(next)) low.set(node, Math.min(low.get(node)!, index.get(next)!));
    }
    if (low.get(node) !== index.get(node)) return;
    const component: string[] = [];
    for (;;) {
      const member = stack.pop()!;
      onStack.delete(member);
      component.push(member);
      if (member === node) break;
    }
    if (component.length > 1) found.push(component);
  };
  for (const node of graph.keys()) if (!index.has(node)) visit(node);
  return found;
}
