/**
 * Collects encoded frames for one write. Frames are written one behind the other into large slabs; what is taken out is never
 * written to again, so it may wait in a socket while the next batch fills the rest of the slab.
 */
const slabBytes = 128 << 10;

export class FrameBatch {
  #pieces: Buffer[] = [];
  #slab: Buffer = Buffer.alloc(0);
  /** What of the slab is taken out already, and how far it is written. */
  #start = 0;
  #end = 0;
  #bytes = 0;

  /** Bytes in the batch. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Room for a frame, which `fill` writes to the byte: it gets where, and returns the offset after it. */
  add(frameBytes: number, fill: (target: Buffer, offset: number) => number): void {
    if (this.#slab.length - this.#end < frameBytes) {
      this.#seal();
      this.#slab = Buffer.allocUnsafeSlow(Math.max(slabBytes, frameBytes));
      this.#start = 0;
      this.#end = 0;
    }
    this.#end = fill(this.#slab, this.#end);
    this.#bytes += frameBytes;
  }

  /** A frame that somebody else keeps, too. */
  share(frame: Buffer): void {
    this.#seal();
    this.#pieces.push(frame);
    this.#bytes += frame.length;
  }

  /** The batch, in order; a new one begins. */
  take(): readonly Buffer[] {
    this.#seal();
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#bytes = 0;
    return pieces;
  }

  #seal(): void {
    if (this.#end === this.#start) return;
    this.#pieces.push(this.#slab.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }
}
