/**
 * Finds the reference implementations that suites compare with: under `$WHERRY_REFERENCE` or `.cache/reference`, where
 * `.ci/reference` unpacks them (`FOLDER/PACKAGE/usr/bin/NAME`), else on the PATH.
 */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Path of a binary of a Debian package. Throws, saying how to get it, when there is none. */
export function referenceBinary(packageName: string, name: string): string {
  const folder = process.env['WHERRY_REFERENCE'] ?? new URL('../../.cache/reference', import.meta.url).pathname;
  const places = [
    ...['usr/bin', 'usr/sbin', 'bin', 'sbin', 'usr/lib/cni'].map((sub) => join(folder, packageName, sub, name)),
    ...(process.env['PATH'] ?? '').split(delimiter).map((path) => join(path, name)),
  ];
  const found = places.find((path) => existsSync(path));
  if (found === undefined)
    throw new Error(`no ${name} (package ${packageName}) in ${folder} or on the PATH: run .ci/reference FOLDER`);
  return found;
}
