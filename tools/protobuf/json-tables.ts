/** Writes the table of fields that `src/wire/protobuf/json.ts` works by: of every message that a service takes or gives. */
import { camel } from './emit.ts';
import type { ProtoField, ProtoFile } from './parse.ts';
import type { Named, NameScope } from './scope.ts';

export function emitJsonTables(files: readonly ProtoFile[], scope: NameScope): string {
  const messages = new Map<string, Named>();
  const enums = new Map<string, Named>();
  const visit = (named: Named): void => {
    if (named.kind === 'enum') {
      enums.set(named.fullName, named);
      return;
    }
    if (messages.has(named.fullName)) return;
    messages.set(named.fullName, named);
    for (const field of named.message!.fields) {
      const type = typeOf(field, named, scope);
      if (type !== undefined) visit(type);
    }
  };
  for (const file of files)
    for (const service of file.services)
      for (const { name, input, output } of service.methods)
        for (const type of [input, output]) visit(scope.resolve(type, file.package, `${service.name}.${name}`));
  const lines = [
    '/** Generated from the services of this part by `npm run gen`. */',
    "import type { JsonTables } from '#wire/protobuf/json.ts';",
    '',
    'export const jsonTables: JsonTables = {',
    '  messages: {',
  ];
  for (const [name, named] of messages) {
    lines.push(`    '${name}': [`);
    for (const field of named.message!.fields) lines.push(`      ${fieldEntry(field, typeOf(field, named, scope))},`);
    lines.push('    ],');
  }
  lines.push('  },', '  enums: {');
  for (const [name, { enumeration }] of enums)
    lines.push(
      `    '${name}': { ${enumeration!.values.map((value) => `${value.name}: ${value.number}`).join(', ')} },`,
    );
  lines.push('  },', '};', '');
  return lines.join('\n');
}

const scalars = new Set(['bytes', 'string', 'bool', 'int32', 'uint32', 'int64', 'uint64']);

/** Undefined for scalars. */
function typeOf(field: ProtoField, { fullName, file }: Named, scope: NameScope): Named | undefined {
  return scalars.has(field.type) ? undefined : scope.resolve(field.type, fullName, `${file.path}: ${field.name}`);
}

function fieldEntry({ name, type, label, oneof, options }: ProtoField, named: Named | undefined): string {
  const entry = {
    name,
    property: camel(name),
    kind: named?.kind ?? type,
    ...(named && { type: named.fullName }),
    ...(label === 'repeated' && { repeated: true }),
    ...(oneof !== undefined && { oneof: camel(oneof) }),
    ...(options.get('jstype') === 'JS_NUMBER' && { asNumber: true }),
  };
  return `{ ${Object.entries(entry)
    .map(([key, value]) => `${key}: ${typeof value === 'string' ? `'${value}'` : value}`)
    .join(', ')} }`;
}
