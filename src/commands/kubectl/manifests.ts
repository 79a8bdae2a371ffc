/** Objects from files, folders and standard input: YAML of several documents, JSON, lists. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { ApiObject } from '#kube-client/resource-ref.ts';
import { CommandError, ExitCode } from '../command.ts';

export type Manifest = ApiObject & { readonly apiVersion: string; readonly kind: string } & Readonly<
    Record<string, unknown>
  >;

const extensions = /\.(ya?ml|json)$/;

/** @throws CommandError that names the file */
export function readManifests(path: string, stdin: () => string): Manifest[] {
  if (path === '-') return parseManifests(stdin(), 'STDIN');
  let folder: boolean;
  try {
    folder = statSync(path).isDirectory();
  } catch {
    throw new CommandError(ExitCode.failed, `error: the path "${path}" does not exist`);
  }
  if (!folder) return parseManifests(readFileSync(path, 'utf8'), path);
  return readdirSync(path)
    .filter((name) => extensions.test(name))
    .sort()
    .flatMap((name) => parseManifests(readFileSync(join(path, name), 'utf8'), join(path, name)));
}

function parseManifests(text: string, source: string): Manifest[] {
  const manifests: Manifest[] = [];
  for (const document of parseAllDocuments(text, { version: '1.1' })) {
    const [error] = 'errors' in document ? document.errors : [];
    if (error !== undefined)
      throw new CommandError(
        ExitCode.failed,
        `error: error parsing ${source}: error converting YAML to JSON: yaml: line ${error.linePos?.[0].line ?? 1}: ${error.message.split('\n')[0]}`,
      );
    const value = document.toJS({ maxAliasCount: 100 }) as (Manifest & { readonly items?: readonly Manifest[] }) | null;
    if (value === null) continue;
    if (typeof value !== 'object' || !value.kind || !value.apiVersion)
      throw new CommandError(
        ExitCode.failed,
        `error: error validating "${source}": error validating data: [apiVersion not set, kind not set]`,
      );
    if (value.kind === 'List' && value.items) manifests.push(...value.items);
    else manifests.push(value);
  }
  if (manifests.length === 0) throw new CommandError(ExitCode.failed, 'error: no objects passed to apply');
  return manifests;
}
