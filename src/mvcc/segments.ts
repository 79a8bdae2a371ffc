/**
 * Where records live: buffers that only grow, sealed when full. Small stores start with small segments; a record too large for
 * one gets its own.
 */
const firstSegmentBytes = 4 << 10;
export const segmentBytesMax = 256 << 10;

export class Segment {
  readonly bytes: Buffer;
  used = 0;
  /** Bytes of records that some version needs. With forks about, a hint. */
  live = 0;

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size);
  }
}

/** Whether what is alive in a segment should move, so that the rest can go. One that may still be written to stays. */
export function isMostlyDead({ bytes, used, live }: Segment): boolean {
  return live * 2 < used && bytes.length - used < bytes.length / 4;
}

export class SegmentWriter {
  #current: Segment | undefined;
  #nextBytes: number;

  constructor(nextBytes = firstSegmentBytes) {
    this.#nextBytes = nextBytes;
  }

  /** Room for a record of `length` bytes: the segment, whose `used` is where the record starts and grows past it. */
  reserve(length: number): Segment {
    let segment = this.#current;
    if (segment === undefined || segment.bytes.length - segment.used < length) {
      if (length > segmentBytesMax / 4) {
        segment = new Segment(length);
      } else {
        segment = new Segment(Math.max(this.#nextBytes, length));
        this.#nextBytes = Math.min(this.#nextBytes * 2, segmentBytesMax);
        this.#current = segment;
      }
    }
    segment.used += length;
    segment.live += length;
    return segment;
  }

  /** Nobody writes to the current segment any more; both stores go on with segments of their own. */
  fork(): SegmentWriter {
    this.#current = undefined;
    this.#nextBytes = firstSegmentBytes;
    return new SegmentWriter();
  }
}
