/**
 * A container's log as the runtime writes it (CRI log format: `TIME STREAM TAG TEXT`, tag `P` for a part of a line) and what
 * `kubectl logs` asks of it: the last lines, lines since a time, timestamps, a limit of bytes, following. The parsing is
 * pure; `container-logs.ts` reads the files.
 */

export interface LogOptions {
  readonly follow: boolean;
  readonly previous: boolean;
  readonly timestamps: boolean;
  readonly tailLines: number | undefined;
  readonly limitBytes: number | undefined;
  /** Lines before this moment are left out; ms since 1970. */
  readonly sinceMs: number | undefined;
  readonly stream: 'All' | 'Stdout' | 'Stderr';
}

/** Renders log records as a client sees them, in order, keeping state between chunks of the file. */
export class LogRenderer {
  readonly #options: LogOptions;
  #carry: Buffer = Buffer.alloc(0);
  #leftBytes: number;
  /** The last record was a part: its continuation carries no timestamp. */
  #inLine = { stdout: false, stderr: false };

  constructor(options: LogOptions) {
    this.#options = options;
    this.#leftBytes = options.limitBytes ?? Number.POSITIVE_INFINITY;
  }

  /** True once the limit of bytes is reached. */
  get finished(): boolean {
    return this.#leftBytes <= 0;
  }

  /** Takes the next bytes of the file; an unfinished record waits for the rest. */
  push(chunk: Buffer): Buffer {
    const bytes = this.#carry.length === 0 ? chunk : Buffer.concat([this.#carry, chunk]);
    const out: Buffer[] = [];
    let at = 0;
    for (let end = bytes.indexOf(10, at); end >= 0; end = bytes.indexOf(10, at)) {
      const rendered = this.#render(bytes.subarray(at, end));
      if (rendered !== undefined) out.push(rendered);
      at = end + 1;
    }
    this.#carry = Buffer.from(bytes.subarray(at));
    const joined = Buffer.concat(out);
    const kept = joined.length > this.#leftBytes ? joined.subarray(0, this.#leftBytes) : joined;
    this.#leftBytes -= kept.length;
    return kept;
  }

  #render(record: Buffer): Buffer | undefined {
    const timeEnd = record.indexOf(32);
    const streamEnd = record.indexOf(32, timeEnd + 1);
    const tagEnd = record.indexOf(32, streamEnd + 1);
    if (timeEnd < 0 || streamEnd < 0) return undefined;
    const time = record.toString('latin1', 0, timeEnd);
    const stream = record.toString('latin1', timeEnd + 1, streamEnd) === 'stderr' ? 'stderr' : 'stdout';
    const tag = record.toString('latin1', streamEnd + 1, tagEnd < 0 ? record.length : tagEnd);
    const partial = tag.split(':')[0] === 'P';
    const text = tagEnd < 0 ? Buffer.alloc(0) : record.subarray(tagEnd + 1);
    const { sinceMs, timestamps, stream: wanted } = this.#options;
    const continues = this.#inLine[stream];
    this.#inLine[stream] = partial;
    if (wanted !== 'All' && wanted.toLowerCase() !== stream) return undefined;
    if (sinceMs !== undefined && Date.parse(time) < sinceMs) return undefined;
    const parts: Buffer[] = [];
    if (timestamps && !continues) parts.push(Buffer.from(`${time} `));
    parts.push(text);
    if (!partial) parts.push(Buffer.from('\n'));
    return Buffer.concat(parts);
  }
}

/**
 * Where the last `lines` lines begin, looking back from the end through `read` in blocks.
 * @param size bytes in the file
 */
export async function tailOffset(
  lines: number,
  size: number,
  read: (offset: number, length: number) => Promise<Buffer>,
): Promise<number> {
  if (lines <= 0) return size;
  const blockBytes = 64 << 10;
  let found = 0;
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - blockBytes);
    const block = await read(start, end - start);
    for (let i = block.length - 1; i >= 0; i--) {
      // The newline that ends the file ends a line, it does not begin one.
      if (block[i] !== 10 || start + i === size - 1) continue;
      if (++found === lines) return start + i + 1;
    }
    end = start;
  }
  return 0;
}
