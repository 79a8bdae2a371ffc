/**
 * Makes `dist/`: the program as one entry module plus a chunk per command, so that a command loads only what it uses.
 * Native packages stay outside. Written to a folder of its own first, then swapped in: a launcher never sees half a bundle.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

const root = new URL('..', import.meta.url).pathname;
const start = performance.now();
if (spawnSync(process.execPath, [join(root, 'tools/gen.ts')], { stdio: 'inherit' }).status !== 0) process.exit(1);

const fresh = mkdtempSync(join(root, '.dist-'));
// Whoever may read the checkout may run it.
chmodSync(fresh, 0o755);
await build({
  absWorkingDir: root,
  // A thread's program is a file of its own.
  entryPoints: { wherry: 'src/commands/main.ts', 'bcrypt-thread': 'src/host/bcrypt-thread.ts' },
  outdir: fresh,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  outExtension: { '.js': '.mjs' },
  chunkNames: 'chunks/[name]-[hash]',
  external: ['koffi'],
  // CommonJS packages inside the bundle ask for built-ins through `require`.
  banner: {
    js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);",
  },
  define: { 'import.meta.bundled': 'true' },
  logLevel: 'warning',
});
const target = join(root, 'dist');
const old = `${fresh}-old`;
try {
  renameSync(target, old);
} catch (error) {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
renameSync(fresh, target);
rmSync(old, { recursive: true, force: true });
process.stderr.write(`bundle made in ${Math.round(performance.now() - start)} ms\n`);
