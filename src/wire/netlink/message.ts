/**
 * Netlink framing: messages and attributes as values. Little-endian headers (every machine we run on), attributes padded to
 * four bytes. Linux `Documentation/userspace-api/netlink/`, RFC 3549.
 */

export const Flag = {
  request: 0x1,
  multi: 0x2,
  ack: 0x4,
  /** With a get: all objects. */
  dump: 0x300,
  /** With a new: refuse when it exists. */
  excl: 0x200,
  replace: 0x100,
  create: 0x400,
  append: 0x800,
} as const;

const MessageType = { noop: 1, error: 2, done: 3, overrun: 4 } as const;
const nested = 0x8000;
const typeMask = 0x3fff;
const headerBytes = 16;

/** A message without its header: what the kernel is asked, or said. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly body: Uint8Array;
}

/** A received message that closes or fails a request, or carries an object. */
export type NetlinkReply =
  | { readonly kind: 'message'; readonly sequence: number; readonly type: number; readonly body: Buffer }
  | { readonly kind: 'done'; readonly sequence: number }
  /** `errno` is positive; 0 acknowledges. `text` is the kernel's own explanation when it gave one. */
  | { readonly kind: 'ack'; readonly sequence: number; readonly errno: number; readonly text: string };

export class NetlinkFormatError extends Error {
  override readonly name = 'NetlinkFormatError';
}

export function encodeMessage(message: NetlinkMessage, sequence: number): Buffer {
  const length = headerBytes + message.body.length;
  const bytes = Buffer.alloc(align(length));
  bytes.writeUInt32LE(length, 0);
  bytes.writeUInt16LE(message.type, 4);
  bytes.writeUInt16LE(message.flags, 6);
  bytes.writeUInt32LE(sequence, 8);
  bytes.set(message.body, headerBytes);
  return bytes;
}

/** Splits one datagram. Throws {@link NetlinkFormatError} when lengths do not add up. */
export function decodeReplies(datagram: Buffer): NetlinkReply[] {
  const replies: NetlinkReply[] = [];
  for (let at = 0; at + headerBytes <= datagram.length; ) {
    const length = datagram.readUInt32LE(at);
    if (length < headerBytes || at + length > datagram.length)
      throw new NetlinkFormatError(`message length ${length} at ${at}`);
    const type = datagram.readUInt16LE(at + 4);
    const flags = datagram.readUInt16LE(at + 6);
    const sequence = datagram.readUInt32LE(at + 8);
    const body = datagram.subarray(at + headerBytes, at + length);
    if (type === MessageType.done) replies.push({ kind: 'done', sequence });
    else if (type === MessageType.error) replies.push(decodeAck(sequence, flags, body));
    else if (type !== MessageType.noop) replies.push({ kind: 'message', sequence, type, body });
    at += align(length);
  }
  return replies;
}

const ackTlvs = 0x200;
const ackCapped = 0x100;

function decodeAck(sequence: number, flags: number, body: Buffer): NetlinkReply {
  if (body.length < 4) throw new NetlinkFormatError('short error message');
  const errno = 0 - body.readInt32LE(0);
  let text = '';
  if (flags & ackTlvs) {
    // struct nlmsgerr: the errno, then the header of the request and, unless capped, its payload; then attributes.
    const echoed = flags & ackCapped ? headerBytes : align(body.readUInt32LE(4));
    const message = decodeAttributes(body.subarray(4 + echoed)).get(1);
    if (message !== undefined) text = cString(message);
  }
  return { kind: 'ack', sequence, errno, text };
}

export function align(length: number): number {
  return (length + 3) & ~3;
}

/** An attribute: a type and raw bytes, or further attributes. */
export type Attribute = readonly [type: number, value: Uint8Array | readonly Attribute[]];

export function encodeAttributes(attributes: readonly Attribute[]): Buffer {
  const parts: Buffer[] = [];
  for (const [type, value] of attributes) {
    const isNested = !(value instanceof Uint8Array);
    const payload = isNested ? encodeAttributes(value) : value;
    const bytes = Buffer.alloc(align(4 + payload.length));
    bytes.writeUInt16LE(4 + payload.length, 0);
    bytes.writeUInt16LE(isNested ? type | nested : type, 2);
    bytes.set(payload, 4);
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}

/** Attributes by type; a repeated type keeps its last value (lists are read with {@link decodeAttributeList}). */
export function decodeAttributes(bytes: Buffer): Map<number, Buffer> {
  return new Map(decodeAttributeList(bytes));
}

export function decodeAttributeList(bytes: Buffer): [type: number, value: Buffer][] {
  const list: [number, Buffer][] = [];
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) throw new NetlinkFormatError(`attribute length ${length} at ${at}`);
    list.push([bytes.readUInt16LE(at + 2) & typeMask, bytes.subarray(at + 4, at + length)]);
    at += align(length);
  }
  return list;
}

/** Values of attributes. */
export function u8(value: number): Buffer {
  return Buffer.from([value]);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

/** nf_tables speaks network byte order. */
export function be32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** A NUL-terminated string. */
export function zeroTerminated(text: string): Buffer {
  return Buffer.from(`${text}\0`, 'utf8');
}

export function cString(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}
