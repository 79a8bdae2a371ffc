/** Takes the compression off a layer, whatever its media type claims: the first bytes tell gzip, zstd or none. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { ContentError } from './error.ts';

export type Compression = 'none' | 'gzip' | 'zstd';

const pieceBytes = 256 << 10;

export function compressionOf(start: Uint8Array): Compression {
  if (start[0] === 0x1f && start[1] === 0x8b) return 'gzip';
  if (start[0] === 0x28 && start[1] === 0xb5 && start[2] === 0x2f && start[3] === 0xfd) return 'zstd';
  return 'none';
}

/** The plain bytes of `source`, decompressed on the thread pool. Throws ContentError DataLoss for a broken stream. */
export async function* decompress(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  let start: Uint8Array = Buffer.alloc(0);
  let ended = false;
  while (start.length < 4 && !ended) {
    const { done, value } = await iterator.next();
    if (done) ended = true;
    else start = start.length === 0 ? value : Buffer.concat([start, value]);
  }
  const whole = (async function* () {
    try {
      if (start.length > 0) yield start;
      for (;;) {
        const { done, value } = ended ? { done: true, value: undefined } : await iterator.next();
        if (done) return;
        yield value!;
      }
    } finally {
      await iterator.return?.();
    }
  })();
  const compression = compressionOf(start);
  if (compression === 'none') {
    yield* whole;
    return;
  }
  const decoder =
    compression === 'gzip' ? createGunzip({ chunkSize: pieceBytes }) : createZstdDecompress({ chunkSize: pieceBytes });
  let sourceError: unknown;
  const guarded = (async function* () {
    try {
      yield* whole;
    } catch (error) {
      sourceError = error;
      throw error;
    }
  })();
  const feeding = pipeline(Readable.from(guarded, { objectMode: false }), decoder);
  feeding.catch(() => {});
  try {
    yield* decoder as AsyncIterable<Uint8Array>;
    await feeding;
  } catch (error) {
    if (sourceError !== undefined) throw sourceError;
    throw new ContentError(
      'DataLoss',
      `layer does not decompress as ${compression}: ${(error as Error).message}`,
      error,
    );
  }
}
