/**
 * Answers whose fields need no words of their own: as Go's JSON and as protobuf by the tables of their fields; plainly and as fields by what the
 * verb says. What a format does not have is said after the call, as upstream does.
 */
import { jsonTables } from '#api-etcd/gen/json-tables.ts';
import type { ResponseHeader } from '#api-etcd/gen/rpc.ts';
import type { MessageType } from '#wire/protobuf/message.ts';
import { headerFields } from './print.ts';
import { EtcdctlExit, type Session, wrong } from './session.ts';

interface Answer {
  readonly header: ResponseHeader | undefined;
}

export interface Words {
  readonly simple: string;
  /** After the header's; undefined where upstream has none. */
  readonly fields?: string;
}

export function printAnswer<T extends Answer>(session: Session, type: MessageType<T>, answer: T, words: Words): void {
  const { format, print } = session;
  if (format === 'json') print(`${structJson(type.typeName, answer)}\n`);
  else if (format === 'protobuf') print(type.encode(answer).toString('latin1'));
  else if (format === 'simple') print(words.simple);
  else if (format === 'fields' && words.fields !== undefined) print(headerFields(answer.header) + words.fields);
  else throw notSupported(format);
}

/** As protobuf. @returns whether it was asked for. @throws EtcdctlError where a table is: only lists have one */
export function printRaw<T>({ format, print }: Session, type: MessageType<T>, answer: T): boolean {
  if (format === 'table') throw notSupported(format);
  if (format !== 'protobuf') return false;
  print(type.encode(answer).toString('latin1'));
  return true;
}

export function notSupported(format: string) {
  return wrong(`${format} not supported as output format`, EtcdctlExit.badFeature);
}

/** As Go's encoding/json writes a generated struct: numbers are numbers, enums too, zero is left out. */
export function structJson(typeName: string, message: unknown): string {
  const parts: string[] = [];
  for (const { name, property, kind, type, repeated, oneof } of jsonTables.messages[typeName]!) {
    if (oneof !== undefined) continue;
    const value = (message as Readonly<Record<string, unknown>>)[property];
    if (isZero(value)) continue;
    const element = (each: unknown): string => {
      if (kind === 'message') return structJson(type!, each);
      if (each instanceof Uint8Array) return JSON.stringify(Buffer.from(each).toString('base64'));
      return typeof each === 'bigint' ? String(each) : JSON.stringify(each);
    };
    const text = repeated ? `[${(value as readonly unknown[]).map(element).join(',')}]` : element(value);
    parts.push(`${JSON.stringify(name)}:${text}`);
  }
  return `{${parts.join(',')}}`;
}

function isZero(value: unknown): boolean {
  if (value === undefined || value === 0 || value === 0n || value === '' || value === false) return true;
  return (Array.isArray(value) || value instanceof Uint8Array) && value.length === 0;
}
