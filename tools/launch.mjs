/**
 * Starts Wherry from a checkout: makes generated code and the bundle when they are missing or older than a source, then
 * becomes the bundle. A fresh bundle costs a walk over the sources' times, a few milliseconds.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const bundle = join(root, 'dist', 'wherry.mjs');

function newestMs(folder) {
  let newest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) newest = Math.max(newest, newestMs(path));
    else if (!/\.test\.ts$/.test(entry.name)) newest = Math.max(newest, statSync(path).mtimeMs);
  }
  return newest;
}

function stale() {
  const made = statSync(bundle, { throwIfNoEntry: false })?.mtimeMs;
  return made === undefined || made < Math.max(newestMs(join(root, 'src')), statSync(join(root, 'package-lock.json')).mtimeMs);
}

if (stale()) {
  const made = spawnSync(process.execPath, [join(root, 'tools/bundle.ts')], { stdio: ['ignore', 'inherit', 'inherit'] });
  if (made.status !== 0) process.exit(made.status ?? 1);
}
enableCompileCache(join(root, '.cache', 'compile'));
await import(bundle);
