/** Generator: each `src/PART/*.proto` becomes `src/PART/gen/*.ts`. Imports name files by their path below `src/`. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Generator } from './generator.ts';
import { emitFile } from './protobuf/emit.ts';
import { emitJsonTables } from './protobuf/json-tables.ts';
import { type ProtoFile, parseProto } from './protobuf/parse.ts';
import { NameScope } from './protobuf/scope.ts';

const ownSources = ['emit', 'json-tables', 'parse', 'scalar', 'scope'].map((name) => `tools/protobuf/${name}.ts`);

/**
 * @param part folder under `src/`
 * @param uses parts whose files it may import
 * @param json also make the tables that JSON is read and written by, `json-tables.ts`
 */
export function protobufGenerator(
  part: string,
  { uses = [], json = false }: { readonly uses?: readonly string[]; readonly json?: boolean } = {},
): Generator {
  const protos = (root: string, folder: string) =>
    readdirSync(join(root, 'src', folder))
      .filter((name) => name.endsWith('.proto'))
      .map((name) => `src/${folder}/${name}`);
  return {
    name: `protobuf of ${part}`,
    outputFolder: `src/${part}/gen`,
    inputs: (root) => [
      ...ownSources,
      'tools/gen-protobuf.ts',
      ...[part, ...uses].flatMap((folder) => protos(root, folder)),
    ],
    async run(root) {
      const files = [part, ...uses]
        .flatMap((folder) => protos(root, folder))
        .map((path) => parseProto(path, readFileSync(join(root, path), 'utf8')));
      const scope = new NameScope(files);
      const output = new Map<string, string>();
      for (const file of files) {
        if (dirname(file.path) !== `src/${part}`) continue;
        checkImports(file, files);
        const importPath = (target: ProtoFile) =>
          dirname(target.path) === `src/${part}`
            ? `./${basename(target.path, '.proto')}.ts`
            : `#${dirname(target.path).slice('src/'.length)}/gen/${basename(target.path, '.proto')}.ts`;
        output.set(`${basename(file.path, '.proto')}.ts`, emitFile({ file, scope, importPath }));
      }
      if (json) output.set('json-tables.ts', emitJsonTables(files, scope));
      return output;
    },
  };
}

function checkImports(file: ProtoFile, files: readonly ProtoFile[]): void {
  for (const path of file.imports)
    if (!files.some((known) => known.path === `src/${path}`))
      throw new Error(`${file.path}: imports ${path}, which is not there`);
}
