/** gRPC's own headers: timeouts, status messages, binary metadata (PROTOCOL-HTTP2.md). */
import type { Header } from '../hpack/decoder.ts';

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** Milliseconds of a `grpc-timeout`; undefined when it is malformed. */
export function parseTimeout(text: string): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(text);
  return match === null ? undefined : Number(match[1]) * unitMs[match[2]!]!;
}

/** At most eight digits: finer units while they fit. */
export function formatTimeout(ms: number): string {
  if (ms <= 0) return '0n';
  if (ms < 1) return `${Math.ceil(ms * 1e6)}n`;
  if (ms < 1e8) return `${Math.ceil(ms)}m`;
  if (ms < 1e11) return `${Math.ceil(ms / 1000)}S`;
  return `${Math.min(99_999_999, Math.ceil(ms / 3_600_000))}H`;
}

/** Percent-encodes a status message. */
export function encodeMessage(message: string): string {
  return [...Buffer.from(message, 'utf8')]
    .map((byte) =>
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
    )
    .join('');
}

/** Malformed escapes stay as they are. */
export function decodeMessage(text: string): string {
  if (!text.includes('%')) return text;
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const escaped = /^%([0-9a-fA-F]{2})/.exec(text.slice(i, i + 3));
    if (escaped === null) bytes.push(text.charCodeAt(i) & 0xff);
    else {
      bytes.push(Number.parseInt(escaped[1]!, 16));
      i += 2;
    }
  }
  return Buffer.from(bytes).toString('utf8');
}

export type MetadataEntry = readonly [name: string, value: string | Uint8Array];

const ownHeaders = new Set([
  'content-type',
  'te',
  'user-agent',
  'grpc-timeout',
  'grpc-encoding',
  'grpc-accept-encoding',
  'grpc-status',
  'grpc-message',
  'grpc-status-details-bin',
]);

/** The metadata among headers or trailers. */
export function metadataOf(headers: readonly Header[]): MetadataEntry[] {
  const metadata: MetadataEntry[] = [];
  for (const [name, value] of headers) {
    if (name.startsWith(':') || ownHeaders.has(name)) continue;
    if (name.endsWith('-bin')) for (const part of value.split(',')) metadata.push([name, Buffer.from(part, 'base64')]);
    else metadata.push([name, value]);
  }
  return metadata;
}

export function metadataHeaders(metadata: readonly MetadataEntry[]): Header[] {
  return metadata.map(
    ([name, value]): Header => [
      name.toLowerCase(),
      typeof value === 'string'
        ? value
        : Buffer.from(value.buffer, value.byteOffset, value.length).toString('base64').replace(/=+$/, ''),
    ],
  );
}
