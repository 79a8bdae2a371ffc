/** How etcdctl writes answers: as Go's JSON, as fields, as tables, or plainly. */
import type { KeyValue } from '#api-etcd/gen/kv.ts';
import type { ResponseHeader } from '#api-etcd/gen/rpc.ts';

export type Format = 'simple' | 'json' | 'fields' | 'table' | 'protobuf';

/** JSON as Go's encoder writes it: 64-bit numbers as numbers, bytes in base64. */
export function goJson(value: unknown): string {
  if (typeof value === 'bigint') return `${value}`;
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString('base64'));
  if (Array.isArray(value)) return `[${value.map(goJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const parts = Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .map(([name, inner]) => `${JSON.stringify(name)}:${goJson(inner)}`);
    return `{${parts.join(',')}}`;
  }
  return JSON.stringify(value);
}

/** Without zero values, as protobuf's fields are written. */
export function omitZero(value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(value).filter(([, inner]) => {
      if (inner === undefined || inner === 0 || inner === 0n || inner === '' || inner === false) return false;
      return !((Array.isArray(inner) || inner instanceof Uint8Array) && inner.length === 0);
    }),
  );
}

export function headerJson(header: ResponseHeader | undefined): Readonly<Record<string, unknown>> {
  return omitZero({
    cluster_id: header?.clusterId,
    member_id: header?.memberId,
    revision: header?.revision,
    raft_term: header?.raftTerm,
  });
}

export function kvJson({ key, createRevision, modRevision, version, value, lease }: KeyValue) {
  return omitZero({ key, create_revision: createRevision, mod_revision: modRevision, version, value, lease });
}

export function headerFields(header: ResponseHeader | undefined): string {
  return fields([
    ['ClusterID', header?.clusterId ?? 0n],
    ['MemberID', header?.memberId ?? 0n],
    ['Revision', header?.revision ?? 0],
    ['RaftTerm', header?.raftTerm ?? 0],
  ]);
}

export function kvFields(
  prefix: string,
  { key, createRevision, modRevision, version, value, lease }: KeyValue,
): string {
  return fields([
    [`${prefix}Key`, quote(key)],
    [`${prefix}CreateRevision`, createRevision],
    [`${prefix}ModRevision`, modRevision],
    [`${prefix}Version`, version],
    [`${prefix}Value`, quote(value)],
    [`${prefix}Lease`, lease],
  ]);
}

/** Strings come quoted already, where they are to be. */
export function fields(lines: readonly (readonly [name: string, value: string | number | bigint | boolean])[]): string {
  return lines.map(([name, value]) => `"${name}" : ${value}\n`).join('');
}

const named: Readonly<Record<number, string>> = {
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
  34: '\\"',
  92: '\\\\',
};

/** Go's %q. */
export function quote(bytes: Uint8Array): string {
  const hex = (byte: number) => `\\x${byte.toString(16).padStart(2, '0')}`;
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at]!;
    if (byte < 0x80) {
      text += named[byte] ?? (byte < 0x20 || byte === 0x7f ? hex(byte) : String.fromCharCode(byte));
      at++;
      continue;
    }
    // Characters of several bytes stay; what is none is written byte by byte.
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    const sign = Buffer.from(bytes.subarray(at, at + length)).toString();
    const isOne = [...sign].length === 1 && sign !== '\ufffd';
    text += isOne ? sign : hex(byte);
    at += isOne ? length : 1;
  }
  return `"${text}"`;
}

export function keyValueLines(kv: KeyValue, { hex }: { readonly hex: boolean }): string {
  return `${text(kv.key, hex)}\n${text(kv.value, hex)}\n`;
}

/** Bytes as they are, or each as `\x..`. */
export function text(bytes: Uint8Array, hex: boolean): string {
  if (!hex) return Buffer.from(bytes).toString('latin1');
  return [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
}

/** Headings centred, cells to the right. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, i) => Math.max(heading.length, ...rows.map((row) => row[i]!.length)));
  const rule = `+${widths.map((width) => '-'.repeat(width + 2)).join('+')}+\n`;
  const centre = (value: string, width: number) => {
    const left = Math.floor((width - value.length) / 2);
    return `${' '.repeat(left)}${value}`.padEnd(width);
  };
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`;
  // As the reference's tables: a column of numbers and words of one kind stands to the right, text to the left.
  const rightAligned = headings.map((_, i) =>
    rows.every((row) => /^(?:[\d.]+(?: ?[kMG]?B|[a-zµ]+)?|true|false)$/.test(row[i]!)),
  );
  const cell = (value: string, i: number) => (rightAligned[i] ? value.padStart(widths[i]!) : value.padEnd(widths[i]!));
  return [
    rule,
    line(headings.map((heading, i) => centre(heading, widths[i]!))),
    rule,
    ...rows.map((row) => line(row.map(cell))),
    rule,
  ].join('');
}

/** Bytes as people say them, thousands as k. */
export function humanBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const rounded = Math.floor(value * 10 + 0.5) / 10;
  return `${unit > 0 && rounded < 10 ? rounded.toFixed(1) : rounded.toFixed(0)} ${units[unit]}`;
}
