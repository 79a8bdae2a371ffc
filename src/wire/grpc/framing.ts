/** Length-prefixed messages: gRPC's framing inside an HTTP/2 stream (PROTOCOL-HTTP2.md). */
import { Code, RpcError } from './status.ts';

export const prefixBytes = 5;

/** A message with its prefix, ready for DATA frames. */
export function frameMessage<T>(
  type: { size(message: T): number; write(message: T, target: Buffer, offset: number): number },
  message: T,
): Buffer {
  const length = type.size(message);
  const target = Buffer.allocUnsafe(prefixBytes + length);
  target[0] = 0;
  target.writeUInt32BE(length, 1);
  type.write(message, target, prefixBytes);
  return target;
}

/** Cuts a stream of bytes into messages. What it gives may be a view of the input. */
export class MessageReader {
  readonly #messageBytesMax: number;
  #held: Buffer = Buffer.alloc(0);
  /** Chunks that belong to a message still incomplete, kept apart so that a large message is joined once. */
  #chunks: Buffer[] = [];
  #heldBytes = 0;

  constructor(messageBytesMax: number) {
    this.#messageBytesMax = messageBytesMax;
  }

  /** True when bytes of an unfinished message wait. */
  get partial(): boolean {
    return this.#heldBytes > 0;
  }

  /** @throws RpcError ResourceExhausted for a message over the limit, Unimplemented for a compressed one */
  push(chunk: Buffer, take: (message: Buffer) => void): void {
    this.#chunks.push(chunk);
    this.#heldBytes += chunk.length;
    while (this.#heldBytes >= prefixBytes) {
      this.#gather(prefixBytes);
      const length = this.#held.readUInt32BE(1);
      if (this.#held[0] !== 0)
        throw new RpcError(Code.Unimplemented, 'grpc: Decompressor is not installed for grpc-encoding');
      if (length > this.#messageBytesMax)
        throw new RpcError(
          Code.ResourceExhausted,
          `grpc: received message larger than max (${length} vs. ${this.#messageBytesMax})`,
        );
      if (this.#heldBytes < prefixBytes + length) return;
      this.#gather(prefixBytes + length);
      const message = this.#held.subarray(prefixBytes, prefixBytes + length);
      this.#held = this.#held.subarray(prefixBytes + length);
      this.#heldBytes -= prefixBytes + length;
      take(message);
    }
    // What stays must outlive the caller's buffer.
    if (this.#heldBytes > 0 && this.#chunks.length > 0)
      this.#chunks[this.#chunks.length - 1] = Buffer.from(this.#chunks.at(-1)!);
    else if (this.#held.length > 0) this.#held = Buffer.from(this.#held);
  }

  /** Makes the first `bytes` bytes contiguous in `#held`. */
  #gather(bytes: number): void {
    if (this.#held.length >= bytes) return;
    this.#held =
      this.#held.length === 0 && this.#chunks.length === 1
        ? this.#chunks[0]!
        : Buffer.concat([this.#held, ...this.#chunks]);
    this.#chunks = [];
  }
}
