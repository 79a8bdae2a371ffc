/**
 * Records of pax extended headers: `LENGTH KEY=VALUE\n`, LENGTH counting itself. Values are bytes: an extended attribute may
 * hold anything.
 */
import { utf8Decode, utf8Encode } from '#std/bytes.ts';
import { TarError, type TarTime } from './entry.ts';

export type PaxRecords = ReadonlyMap<string, Uint8Array>;

/** Prefix of the records that carry extended attributes. */
export const xattrPrefix = 'SCHILY.xattr.';

/** Reads all records of a header's data. Throws TarError when they are malformed. */
export function decodePaxRecords(data: Uint8Array): Map<string, Uint8Array> {
  const records = new Map<string, Uint8Array>();
  let at = 0;
  while (at < data.length) {
    const space = data.indexOf(0x20, at);
    const length = space < 0 ? Number.NaN : decimal(data.subarray(at, space));
    const end = at + length;
    if (!(end <= data.length) || end <= space + 2 || data[end - 1] !== 0x0a)
      throw new TarError('malformed pax extended header');
    const equals = data.indexOf(0x3d, space);
    if (equals < 0 || equals >= end - 1) throw new TarError('malformed pax extended header');
    records.set(utf8Decode(data.subarray(space + 1, equals)), data.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

export function encodePaxRecords(records: PaxRecords): Buffer {
  const chunks: Uint8Array[] = [];
  for (const [key, value] of records) {
    const tail = utf8Encode(` ${key}=`);
    const rest = tail.length + value.length + 1;
    let length = rest + String(rest).length;
    if (String(length).length > String(rest).length) length = rest + String(length).length;
    chunks.push(utf8Encode(String(length)), tail, value, utf8Encode('\n'));
  }
  return Buffer.concat(chunks);
}

/** A non-negative decimal of at most 15 digits; NaN for anything else. */
export function decimal(text: Uint8Array): number {
  if (text.length === 0 || text.length > 15) return Number.NaN;
  let value = 0;
  for (const byte of text) {
    if (byte < 0x30 || byte > 0x39) return Number.NaN;
    value = value * 10 + (byte - 0x30);
  }
  return value;
}

/** `[-]SECONDS[.FRACTION]`; digits beyond nanoseconds are dropped. */
export function decodePaxTime(text: Uint8Array): TarTime {
  const negative = text[0] === 0x2d;
  const digits = negative ? text.subarray(1) : text;
  const dot = digits.indexOf(0x2e);
  const whole = decimal(dot < 0 ? digits : digits.subarray(0, dot));
  const fraction = dot < 0 ? '' : utf8Decode(digits.subarray(dot + 1, dot + 10));
  const nanoseconds = fraction === '' ? 0 : decimal(utf8Encode(fraction.padEnd(9, '0')));
  if (Number.isNaN(whole) || Number.isNaN(nanoseconds)) throw new TarError('malformed time in pax extended header');
  if (!negative) return { seconds: whole, nanoseconds };
  if (nanoseconds === 0) return { seconds: -whole, nanoseconds: 0 };
  return { seconds: -whole - 1, nanoseconds: 1e9 - nanoseconds };
}

export function encodePaxTime(time: TarTime): Uint8Array {
  if (time.nanoseconds === 0) return utf8Encode(String(time.seconds));
  const negative = time.seconds < 0;
  const seconds = negative ? -time.seconds - 1 : time.seconds;
  const nanoseconds = negative ? 1e9 - time.nanoseconds : time.nanoseconds;
  const fraction = String(nanoseconds).padStart(9, '0').replace(/0+$/, '');
  return utf8Encode(`${negative ? '-' : ''}${seconds}.${fraction}`);
}
