/**
 * `npm run gen`: makes all generated code that is missing or older than its inputs. Whatever needs generated code calls
 * this first; when nothing changed it takes a few milliseconds. Output goes to `gen/` folders, which are never committed.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { protobufGenerator } from './gen-protobuf.ts';
import type { Generator } from './generator.ts';
import { kubeTypesGenerator } from './kube-types.ts';

const generators: readonly Generator[] = [
  protobufGenerator('api-etcd', { json: true }),
  protobufGenerator('api-cri'),
  kubeTypesGenerator,
];

async function main(): Promise<void> {
  const root = new URL('..', import.meta.url).pathname;
  for (const generator of generators) {
    const folder = join(root, generator.outputFolder);
    const stamp = join(folder, '.inputs');
    const digest = digestOf(root, generator.inputs(root));
    if (readIfThere(stamp) === digest) continue;
    const start = performance.now();
    const files = await generator.run(root);
    rmSync(folder, { recursive: true, force: true });
    for (const [path, text] of files) {
      const target = join(folder, path);
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, text);
    }
    writeFileSync(stamp, digest);
    process.stderr.write(`gen: ${generator.name}: ${files.size} files (${Math.round(performance.now() - start)} ms)\n`);
  }
}

function digestOf(root: string, inputs: readonly string[]): string {
  const hash = createHash('sha256');
  for (const input of [...inputs].sort())
    hash
      .update(`${input}\0`)
      .update(readFileSync(join(root, input)))
      .update('\0');
  return hash.digest('hex');
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

await main();
