/**
 * Writes the TypeScript of one `.proto` file: an interface and a codec per message, straight-line code, fields in ascending number.
 * The shapes are described in `src/wire/protobuf/message.ts`.
 */
import type { ProtoField, ProtoFile, ProtoService } from './parse.ts';
import { enumScalar, type Scalar, scalarOf } from './scalar.ts';
import type { Named, NameScope } from './scope.ts';

interface EmitContext {
  readonly file: ProtoFile;
  readonly scope: NameScope;
  /** How a module of another file is imported. */
  importPath(target: ProtoFile): string;
}

/** A field with everything about it resolved. */
interface Field {
  readonly field: ProtoField;
  readonly property: string;
  readonly scalar: Scalar | undefined;
  /** TypeScript name of the message type; undefined for scalars. */
  readonly message: string | undefined;
  readonly tag: number;
  /** Written even when zero: proto2 `required`, and what gogo's non-nullable fields do. */
  readonly always: boolean;
  /** `undefined` says absent. */
  readonly presence: boolean;
}

export function emitFile(context: EmitContext): string {
  const { file, scope } = context;
  const imported = new Map<string, Set<string>>();
  const nameOf = (named: Named): string => {
    if (named.file === file) return named.identifier;
    const path = context.importPath(named.file);
    const names = imported.get(path) ?? new Set<string>();
    names.add(named.identifier);
    if (named.kind === 'message') names.add(`read${named.identifier}`);
    imported.set(path, names);
    return named.identifier;
  };
  const body: string[] = [];
  for (const named of scope.declaredIn(file))
    body.push(named.kind === 'enum' ? emitEnum(named) : emitMessage(named, context, nameOf));
  for (const service of file.services) body.push(emitService(service, context, nameOf));
  const text = body.join('\n');
  const head = [`/** Generated from ${file.path} by \`npm run gen\`. */`];
  if (file.services.length > 0) head.push("import type { Method } from '#wire/grpc/service.ts';");
  // Under another name: raftpb has a MessageType of its own.
  head.push("import type { MessageType as Codec } from '#wire/protobuf/message.ts';");
  if (/\bEncoded\b/.test(text)) head.push("import { Encoded } from '#wire/protobuf/encoded.ts';");
  if (/\bReader\b/.test(text)) head.push("import { Reader } from '#wire/protobuf/reader.ts';");
  if (/\bw\./.test(text)) head.push("import * as w from '#wire/protobuf/writer.ts';");
  for (const [path, names] of [...imported].sort())
    head.push(`import { ${[...names].sort().join(', ')} } from '${path}';`);
  if (/\bempty\b/.test(text)) head.push('', 'const empty = new Uint8Array(0);');
  return `${head.join('\n')}\n\n${text}`;
}

function emitEnum({ identifier, enumeration }: Named): string {
  const values = enumeration!.values.map(({ name, number }) => `  ${name}: ${number},`).join('\n');
  return `${comment(enumeration!.comment)}export const ${identifier} = {\n${values}\n} as const;\nexport type ${identifier} = (typeof ${identifier})[keyof typeof ${identifier}];\n`;
}

function emitMessage(named: Named, { file, scope }: EmitContext, nameOf: (named: Named) => string): string {
  const { identifier, fullName, message } = named;
  const fields = [...message!.fields]
    .sort((a, b) => a.number - b.number)
    .map((field): Field => {
      let scalar = scalarOf(field.type, field);
      let messageName: string | undefined;
      if (scalar === undefined) {
        const target = scope.resolve(field.type, fullName, `${file.path}: ${fullName}.${field.name}`);
        if (target.kind === 'enum') scalar = enumScalar(nameOf(target));
        else messageName = nameOf(target);
      }
      const always = field.label === 'required' || field.options.get('wherry.always') === 'true';
      const wireType = field.label === 'map' || messageName !== undefined ? 2 : scalar!.wireType;
      return {
        field,
        property: camel(field.name),
        scalar,
        message: messageName,
        tag: field.number * 8 + (isPacked(field, scalar, file) ? 2 : wireType),
        always,
        presence: !always && field.label === 'optional' && messageName === undefined,
      };
    });
  const oneofs = new Map<string, Field[]>();
  for (const field of fields)
    if (field.field.oneof !== undefined) {
      const name = camel(field.field.oneof);
      oneofs.set(name, [...(oneofs.get(name) ?? []), field]);
    }
  const plain = fields.filter(({ field }) => field.oneof === undefined);
  const properties = [...plain.map(({ property }) => property), ...oneofs.keys()];

  const lines: string[] = [];
  lines.push(`${comment(message!.comment)}export interface ${identifier} {`);
  for (const field of plain)
    lines.push(...indent(comment(field.field.comment), 2), `  readonly ${field.property}: ${typeOf(field)};`);
  for (const [name, members] of oneofs) {
    const cases = members.map(
      (member) => `    | { readonly case: '${member.property}'; readonly value: ${elementType(member)} }`,
    );
    lines.push(`  readonly ${name}:`, ...cases, '    | { readonly case: undefined };');
  }
  lines.push('}', '');

  const sizeLines = fields.flatMap((field) => sizeCode(field));
  const writeLines = fields.flatMap((field) => writeCode(field));
  // Whoever has the encoding already copies it: see `src/wire/protobuf/encoded.ts`.
  const mayBeEncoded = message!.options.get('wherry.may_be_encoded') === 'true';
  const usesInit = properties.length > 0;
  lines.push(
    `export const ${identifier}: Codec<${identifier}> = {`,
    `  typeName: '${fullName}',`,
    `  create(${usesInit ? 'init' : ''}) {`,
    '    return {',
    ...plain.map(
      (field) =>
        `      ${field.property}: init?.${field.property}${zeroOf(field) === 'undefined' ? '' : ` ?? ${zeroOf(field)}`},`,
    ),
    ...[...oneofs.keys()].map((name) => `      ${name}: init?.${name} ?? { case: undefined },`),
    '    };',
    '  },',
    `  size(${fields.length > 0 ? 'm' : ''}) {`,
    ...(mayBeEncoded ? ['    if (m instanceof Encoded) return m.encodedBytes;'] : []),
    ...(fields.length > 0 ? ['    let size = 0;', ...sizeLines, '    return size;'] : ['    return 0;']),
    '  },',
    fields.length > 0 ? '  write(m, target, offset) {' : '  write(_m, _target, offset) {',
    ...(mayBeEncoded ? ['    if (m instanceof Encoded) return m.writeEncoded(target, offset);'] : []),
    ...(fields.length > 0 ? ['    let at = offset;', ...writeLines, '    return at;'] : ['    return offset;']),
    '  },',
    '  encode(m) {',
    `    const target = Buffer.allocUnsafe(${identifier}.size(m));`,
    `    ${identifier}.write(m, target, 0);`,
    '    return target;',
    '  },',
    '  decode(bytes) {',
    `    return read${identifier}(new Reader(bytes));`,
    '  },',
    '};',
    '',
  );

  lines.push(`export function read${identifier}(r: Reader): ${identifier} {`);
  for (const field of plain)
    lines.push(
      `  ${isCollection(field) ? 'const' : 'let'} ${local(field.property)}: ${mutableType(field)} = ${initial(field)};`,
    );
  for (const name of oneofs.keys()) lines.push(`  let ${local(name)}: ${identifier}['${name}'] = { case: undefined };`);
  lines.push('  while (r.position < r.end) {', '    const tag = r.uint32();', '    switch (tag) {');
  for (const field of fields) lines.push(...readCode(field));
  lines.push('      default:', '        r.skip(tag);', '    }', '  }');
  lines.push(
    `  return { ${properties.map((property) => (local(property) === property ? property : `${property}: ${local(property)}`)).join(', ')} };`,
    '}',
    '',
  );
  return lines.join('\n');
}

function emitService(service: ProtoService, { file, scope }: EmitContext, nameOf: (named: Named) => string): string {
  const fullName = file.package === '' ? service.name : `${file.package}.${service.name}`;
  const types: string[] = [];
  const values: string[] = [];
  for (const method of service.methods) {
    const input = nameOf(scope.resolve(method.input, file.package, `${fullName}.${method.name}`));
    const output = nameOf(scope.resolve(method.output, file.package, `${fullName}.${method.name}`));
    const kind = method.clientStream
      ? method.serverStream
        ? 'bidi'
        : 'client-stream'
      : method.serverStream
        ? 'server-stream'
        : 'unary';
    const name = method.name.charAt(0).toLowerCase() + method.name.slice(1);
    types.push(...indent(comment(method.comment), 4), `    readonly ${name}: Method<${input}, ${output}, '${kind}'>;`);
    values.push(
      `    ${name}: { path: '/${fullName}/${method.name}', kind: '${kind}', request: ${input}, response: ${output} },`,
    );
  }
  // A service may be called like one of its messages (CRI has none, etcd has none; containerd's Images does not either).
  return `${comment(service.comment)}export const ${service.name}: {\n  readonly typeName: string;\n  readonly methods: {\n${types.join('\n')}\n  };\n} = {\n  typeName: '${fullName}',\n  methods: {\n${values.join('\n')}\n  },\n};\n`;
}

function isPacked(field: ProtoField, scalar: Scalar | undefined, file: ProtoFile): boolean {
  if (field.label !== 'repeated' || scalar === undefined || scalar.wireType === 2) return false;
  return file.syntax === 'proto3' ? field.options.get('packed') !== 'false' : field.options.get('packed') === 'true';
}

function isCollection({ field }: Field): boolean {
  return field.label === 'repeated' || field.label === 'map';
}

function elementType({ scalar, message }: Field): string {
  return message ?? scalar!.type;
}

function typeOf(field: Field): string {
  if (field.field.label === 'map') return `ReadonlyMap<${keyScalar(field).type}, ${elementType(field)}>`;
  if (field.field.label === 'repeated') return `readonly ${elementType(field)}[]`;
  return field.presence || (field.message !== undefined && !field.always)
    ? `${elementType(field)} | undefined`
    : elementType(field);
}

function mutableType(field: Field): string {
  if (field.field.label === 'map') return `Map<${keyScalar(field).type}, ${elementType(field)}>`;
  if (field.field.label === 'repeated') return `${elementType(field)}[]`;
  return typeOf(field);
}

function keyScalar({ field }: Field): Scalar {
  return scalarOf(field.keyType!, { options: new Map() })!;
}

function zeroOf(field: Field): string {
  if (field.field.label === 'map') return 'new Map()';
  if (field.field.label === 'repeated') return '[]';
  if (field.message !== undefined) return field.always ? `${field.message}.create()` : 'undefined';
  return field.presence ? 'undefined' : field.scalar!.zero;
}

function initial(field: Field): string {
  return zeroOf(field);
}

function tagBytes(tag: number): number[] {
  const bytes: number[] = [];
  let rest = tag;
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return bytes;
}

function writeTag(tag: number): string[] {
  return tagBytes(tag).map((byte) => `target[at++] = ${byte};`);
}

/** Condition under which a singular field is written; undefined for always. */
function condition(field: Field, value: string): string | undefined {
  if (field.always) return undefined;
  if (field.presence || field.message !== undefined) return `${value} !== undefined`;
  return `!(${field.scalar!.isZero(value)})`;
}

function sizeCode(field: Field): string[] {
  const tagSize = tagBytes(field.tag).length;
  const value = `m.${field.property}`;
  const elementSize = (element: string) => {
    if (field.message !== undefined)
      return { setup: [`const n = ${field.message}.size(${element});`], size: `${tagSize} + w.sizeUint32(n) + n` };
    return { setup: [], size: `${tagSize} + ${field.scalar!.size(element)}` };
  };
  if (field.field.oneof !== undefined) {
    const oneof = `m.${camel(field.field.oneof)}`;
    const { setup, size } = elementSize(`${oneof}.value`);
    return [
      `    if (${oneof}.case === '${field.property}') {`,
      ...setup.map((line) => `      ${line}`),
      `      size += ${size};`,
      '    }',
    ];
  }
  if (field.field.label === 'map') {
    const entry = mapEntrySize(field);
    return [
      `    for (const [key, value] of ${value}) {`,
      ...entry.map((line) => `      ${line}`),
      `      size += ${tagSize} + w.sizeUint32(n) + n;`,
      '    }',
    ];
  }
  if (field.field.label === 'repeated') {
    if (field.message === undefined && field.scalar!.wireType !== 2 && field.tag % 8 === 2)
      return [
        `    if (${value}.length > 0) {`,
        '      let n = 0;',
        `      for (const e of ${value}) n += ${field.scalar!.size('e').replace(/^(\d)$/, '$1')};`,
        `      size += ${tagSize} + w.sizeUint32(n) + n;`,
        '    }',
      ];
    const { setup, size } = elementSize('e');
    return [
      `    for (const e of ${value}) {`,
      ...setup.map((line) => `      ${line}`),
      `      size += ${size};`,
      '    }',
    ];
  }
  const { setup, size } = elementSize(value);
  const when = condition(field, value);
  return [
    when === undefined ? '    {' : `    if (${when}) {`,
    ...setup.map((line) => `      ${line}`),
    `      size += ${size};`,
    '    }',
  ];
}

function mapEntrySize(field: Field): string[] {
  const keySize = `1 + ${keyScalar(field).size('key')}`;
  if (field.message !== undefined)
    return [`const v = ${field.message}.size(value);`, `const n = ${keySize} + 1 + w.sizeUint32(v) + v;`];
  return [`const n = ${keySize} + 1 + ${field.scalar!.size('value')};`];
}

function writeCode(field: Field): string[] {
  const value = `m.${field.property}`;
  const writeElement = (element: string): string[] => {
    if (field.message !== undefined)
      return [
        ...writeTag(field.tag),
        `at = w.writeUint32(${field.message}.size(${element}), target, at);`,
        `at = ${field.message}.write(${element}, target, at);`,
      ];
    return [...writeTag(field.tag), `at = ${field.scalar!.write(element)};`];
  };
  const block = (head: string, lines: readonly string[]) => [
    `    ${head}`,
    ...lines.map((line) => `      ${line}`),
    '    }',
  ];
  if (field.field.oneof !== undefined) {
    const oneof = `m.${camel(field.field.oneof)}`;
    return block(`if (${oneof}.case === '${field.property}') {`, writeElement(`${oneof}.value`));
  }
  if (field.field.label === 'map') {
    const key = keyScalar(field);
    const valueTag = field.message !== undefined ? 18 : 16 + field.scalar!.wireType;
    const writeValue =
      field.message !== undefined
        ? ['at = w.writeUint32(v, target, at);', `at = ${field.message}.write(value, target, at);`]
        : [`at = ${field.scalar!.write('value')};`];
    return block(`for (const [key, value] of ${value}) {`, [
      ...mapEntrySize(field),
      ...writeTag(field.tag),
      'at = w.writeUint32(n, target, at);',
      `target[at++] = ${8 + key.wireType};`,
      `at = ${key.write('key')};`,
      `target[at++] = ${valueTag};`,
      ...writeValue,
    ]);
  }
  if (field.field.label === 'repeated') {
    if (field.message === undefined && field.scalar!.wireType !== 2 && field.tag % 8 === 2)
      return block(`if (${value}.length > 0) {`, [
        'let n = 0;',
        `for (const e of ${value}) n += ${field.scalar!.size('e')};`,
        ...writeTag(field.tag),
        'at = w.writeUint32(n, target, at);',
        `for (const e of ${value}) at = ${field.scalar!.write('e')};`,
      ]);
    return block(`for (const e of ${value}) {`, writeElement('e'));
  }
  const when = condition(field, value);
  return block(when === undefined ? '{' : `if (${when}) {`, writeElement(value));
}

function readCode(field: Field): string[] {
  const name = local(field.property);
  const nested = (assign: (value: string) => string) => [
    'const outer = r.enter();',
    assign(`read${field.message}(r)`),
    'r.leave(outer);',
  ];
  const wrap = (tag: number, lines: readonly string[]) => [
    `      case ${tag}: {`,
    ...lines.map((line) => `        ${line}`),
    '        break;',
    '      }',
  ];
  if (field.field.oneof !== undefined) {
    const oneof = local(camel(field.field.oneof));
    const assign = (value: string) => `${oneof} = { case: '${field.property}', value: ${value} };`;
    return wrap(field.tag, field.message !== undefined ? nested(assign) : [assign(`r.${field.scalar!.read}`)]);
  }
  if (field.field.label === 'map') {
    const key = keyScalar(field);
    const valueTag = field.message !== undefined ? 18 : 16 + field.scalar!.wireType;
    const valueZero = field.message !== undefined ? `${field.message}.create()` : field.scalar!.zero;
    const readValue =
      field.message !== undefined
        ? `{ const inner = r.enter(); value = read${field.message}(r); r.leave(inner); }`
        : `value = r.${field.scalar!.read};`;
    return wrap(field.tag, [
      'const outer = r.enter();',
      `let key: ${key.type} = ${key.zero};`,
      `let value: ${elementType(field)} = ${valueZero};`,
      'while (r.position < r.end) {',
      '  const entry = r.uint32();',
      `  if (entry === ${8 + key.wireType}) key = r.${key.read};`,
      `  else if (entry === ${valueTag}) ${readValue}`,
      '  else r.skip(entry);',
      '}',
      'r.leave(outer);',
      `${name}.set(key, value);`,
    ]);
  }
  if (field.field.label === 'repeated') {
    if (field.message !== undefined)
      return wrap(
        field.tag,
        nested((value) => `${name}.push(${value});`),
      );
    const { scalar } = field;
    if (scalar!.wireType === 2) return wrap(field.tag, [`${name}.push(r.${scalar!.read});`]);
    // Readers take packed and unpacked alike.
    const base = field.field.number * 8;
    return [
      ...wrap(base + 2, [
        'const outer = r.enter();',
        `while (r.position < r.end) ${name}.push(r.${scalar!.read});`,
        'r.leave(outer);',
      ]),
      ...wrap(base + scalar!.wireType, [`${name}.push(r.${scalar!.read});`]),
    ];
  }
  if (field.message !== undefined)
    return wrap(
      field.tag,
      nested((value) => `${name} = ${value};`),
    );
  return wrap(field.tag, [`${name} = r.${field.scalar!.read};`]);
}

const reserved = new Set([
  'case',
  'default',
  'delete',
  'enum',
  'export',
  'function',
  'in',
  'new',
  'package',
  'private',
  'public',
  'return',
  'switch',
  'this',
  'typeof',
  'var',
  'void',
  'with',
  'r',
  'w',
  'tag',
  'outer',
  'key',
  'value',
  'empty',
  'inner',
  'entry',
  'Reader',
]);

/** A name for a local variable: property names may be keywords or names that the code around uses. */
function local(property: string): string {
  return reserved.has(property) ? `${property}Field` : property;
}

/** What a field is called in TypeScript. */
export function camel(name: string): string {
  return name
    .replace(/_+([a-zA-Z0-9])/g, (_, letter: string) => letter.toUpperCase())
    .replace(/^[A-Z]+(?=[A-Z][a-z]|$|[^a-zA-Z])|^[A-Z]/, (start) => start.toLowerCase());
}

function comment(text: string): string {
  return text === '' ? '' : `/** ${text.replaceAll('*/', '* /')} */\n`;
}

function indent(text: string, by: number): string[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ' '.repeat(by) + line);
}
