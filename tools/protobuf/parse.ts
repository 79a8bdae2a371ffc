/**
 * Reads our own `.proto` files: the subset of the language that they use (proto3, and the proto2 of etcd's logs), with errors that
 * name file and line. https://protobuf.dev/reference/protobuf/proto3-spec/
 */

export interface ProtoFile {
  readonly path: string;
  readonly syntax: 'proto2' | 'proto3';
  readonly package: string;
  readonly imports: readonly string[];
  readonly messages: readonly ProtoMessage[];
  readonly enums: readonly ProtoEnum[];
  readonly services: readonly ProtoService[];
}

export interface ProtoField {
  readonly name: string;
  readonly number: number;
  /** A scalar's name, or a message's or enum's as written. */
  readonly type: string;
  readonly label: 'singular' | 'optional' | 'required' | 'repeated' | 'map';
  /** Key type of a map; `type` is the value's. */
  readonly keyType?: string;
  readonly oneof?: string;
  readonly options: ReadonlyMap<string, string>;
  readonly comment: string;
}

export interface ProtoMessage {
  readonly name: string;
  readonly fields: readonly ProtoField[];
  readonly messages: readonly ProtoMessage[];
  readonly enums: readonly ProtoEnum[];
  readonly options: ReadonlyMap<string, string>;
  readonly comment: string;
}

export interface ProtoEnum {
  readonly name: string;
  readonly values: readonly { readonly name: string; readonly number: number }[];
  readonly comment: string;
}

export interface ProtoMethod {
  readonly name: string;
  readonly input: string;
  readonly output: string;
  readonly clientStream: boolean;
  readonly serverStream: boolean;
  readonly comment: string;
}

export interface ProtoService {
  readonly name: string;
  readonly methods: readonly ProtoMethod[];
  readonly comment: string;
}

interface Token {
  readonly text: string;
  readonly line: number;
  /** Comment lines that stand right above. */
  readonly comment: string;
}

export function parseProto(path: string, source: string): ProtoFile {
  const tokens = tokenize(path, source);
  let at = 0;
  const fail = (message: string): never => {
    throw new Error(`${path}:${tokens[Math.min(at, tokens.length - 1)]?.line ?? 1}: ${message}`);
  };
  const peek = () => tokens[at]?.text;
  const next = (): Token => tokens[at++] ?? fail('unexpected end of file');
  const expect = (text: string) => {
    if (next().text !== text) {
      at--;
      fail(`expected ${text}, found ${peek()}`);
    }
  };
  const accept = (text: string) => peek() === text && ++at > 0;
  const unquote = (text: string) => text.slice(1, -1);

  function fieldOptions(): Map<string, string> {
    const options = new Map<string, string>();
    if (!accept('[')) return options;
    do {
      let name = next().text;
      if (name === '(') {
        name = next().text;
        expect(')');
      }
      expect('=');
      options.set(name, next().text);
    } while (accept(','));
    expect(']');
    return options;
  }

  function field(label: ProtoField['label'], oneof: string | undefined): ProtoField {
    const { comment } = tokens[at]!;
    let type = next().text;
    let keyType: string | undefined;
    let actual = label;
    if (type === 'map' && accept('<')) {
      keyType = next().text;
      expect(',');
      type = next().text;
      expect('>');
      actual = 'map';
    }
    const name = next().text;
    expect('=');
    const number = Number(next().text);
    if (!Number.isInteger(number) || number < 1) fail(`field number of ${name}`);
    const options = fieldOptions();
    expect(';');
    return {
      name,
      number,
      type,
      label: actual,
      ...(keyType !== undefined && { keyType }),
      ...(oneof !== undefined && { oneof }),
      options,
      comment,
    };
  }

  function message(comment: string): ProtoMessage {
    const name = next().text;
    const fields: ProtoField[] = [];
    const messages: ProtoMessage[] = [];
    const enums: ProtoEnum[] = [];
    const options = new Map<string, string>();
    expect('{');
    while (!accept('}')) {
      const token = tokens[at]!;
      switch (token.text) {
        case 'message':
          at++;
          messages.push(message(token.comment));
          break;
        case 'enum':
          at++;
          enums.push(enumeration(token.comment));
          break;
        case 'reserved':
          while (next().text !== ';');
          break;
        case 'option': {
          at++;
          const [option, value] = setting();
          options.set(option, value);
          break;
        }
        case 'oneof': {
          at++;
          const oneof = next().text;
          expect('{');
          while (!accept('}')) fields.push(field('singular', oneof));
          break;
        }
        case 'optional':
        case 'required':
        case 'repeated':
          at++;
          fields.push(field(token.text, undefined));
          break;
        default:
          fields.push(field('singular', undefined));
      }
    }
    return { name, fields, messages, enums, options, comment };
  }

  /** `NAME = VALUE;` or `(NAME) = VALUE;`. */
  function setting(): [name: string, value: string] {
    const parenthesized = accept('(');
    const name = next().text;
    if (parenthesized) expect(')');
    expect('=');
    const value = next().text;
    expect(';');
    return [name, value];
  }

  function enumeration(comment: string): ProtoEnum {
    const name = next().text;
    const values: { name: string; number: number }[] = [];
    expect('{');
    while (!accept('}')) {
      const value = next().text;
      if (value === 'option' || value === 'reserved') {
        while (next().text !== ';');
        continue;
      }
      expect('=');
      const negative = accept('-');
      values.push({ name: value, number: Number(next().text) * (negative ? -1 : 1) });
      fieldOptions();
      expect(';');
    }
    return { name, values, comment };
  }

  function service(comment: string): ProtoService {
    const name = next().text;
    const methods: ProtoMethod[] = [];
    expect('{');
    while (!accept('}')) {
      const token = next();
      if (token.text !== 'rpc') fail(`expected rpc, found ${token.text}`);
      const method = next().text;
      expect('(');
      const clientStream = accept('stream');
      const input = next().text;
      expect(')');
      expect('returns');
      expect('(');
      const serverStream = accept('stream');
      const output = next().text;
      expect(')');
      if (accept('{')) expect('}');
      else expect(';');
      accept(';');
      methods.push({ name: method, input, output, clientStream, serverStream, comment: token.comment });
    }
    return { name, methods, comment };
  }

  let syntax: ProtoFile['syntax'] = 'proto2';
  let packageName = '';
  const imports: string[] = [];
  const messages: ProtoMessage[] = [];
  const enums: ProtoEnum[] = [];
  const services: ProtoService[] = [];
  while (at < tokens.length) {
    const token = next();
    switch (token.text) {
      case 'syntax':
        expect('=');
        syntax = unquote(next().text) as ProtoFile['syntax'];
        expect(';');
        break;
      case 'package':
        packageName = next().text;
        expect(';');
        break;
      case 'import':
        imports.push(unquote(next().text));
        expect(';');
        break;
      case 'option':
        while (next().text !== ';');
        break;
      case 'message':
        messages.push(message(token.comment));
        break;
      case 'enum':
        enums.push(enumeration(token.comment));
        break;
      case 'service':
        services.push(service(token.comment));
        break;
      case ';':
        break;
      default:
        at--;
        fail(`unexpected ${token.text}`);
    }
  }
  return { path, syntax, package: packageName, imports, messages, enums, services };
}

function tokenize(path: string, source: string): Token[] {
  const tokens: Token[] = [];
  const pattern =
    /(\s+)|(\/\/[^\n]*)|(\/\*[\s\S]*?\*\/)|("(?:[^"\\]|\\.)*")|([A-Za-z_.][\w.]*)|(\d[\w.]*)|([{}()[\]<>=;,-])/y;
  let line = 1;
  let comment: string[] = [];
  let commentLine = 0;
  while (pattern.lastIndex < source.length) {
    const start = pattern.lastIndex;
    const match = pattern.exec(source);
    if (match === null) throw new Error(`${path}:${line}: unexpected character ${JSON.stringify(source[start])}`);
    const [text, space, lineComment, blockComment] = match;
    if (space === undefined && lineComment === undefined && blockComment === undefined) {
      tokens.push({ text, line, comment: comment.length > 0 && commentLine >= line - 1 ? comment.join(' ') : '' });
      comment = [];
    } else if (lineComment !== undefined || blockComment !== undefined) {
      comment.push(text.replace(/^\/\/\s?|^\/\*+\s?|\s*\*\/$/g, '').trim());
      commentLine = line + text.split('\n').length - 1;
    }
    line += text.split('\n').length - 1;
  }
  return tokens;
}
