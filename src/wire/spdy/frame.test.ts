/** Frames there and back, in any pieces; what is not SPDY is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { below, seededPrng } from '#std/prng.ts';
import { SpdyDecoder, SpdyEncoder, SpdyError, type SpdyFrame } from './frame.ts';

const limit = { timeout: 10_000 };

/** Parts of one data frame as one. */
function joined(frames: readonly SpdyFrame[]): SpdyFrame[] {
  const result: SpdyFrame[] = [];
  for (const frame of frames) {
    const before = result.at(-1);
    if (frame.kind === 'data' && before?.kind === 'data' && before.streamId === frame.streamId && !before.fin)
      result[result.length - 1] = { ...frame, data: Buffer.concat([before.data, frame.data]) };
    else result.push(frame);
  }
  return result;
}

test('what one side writes the other reads, however it is cut', limit, () => {
  const headers = (...pairs: [string, string][]) => new Map(pairs);
  const encoder = new SpdyEncoder();
  const wire = Buffer.concat([
    encoder.synStream(1, headers(['streamtype', 'error'], ['port', '80'])),
    encoder.synReply(1),
    encoder.synStream(3, headers(['streamtype', 'data']), true),
    encoder.data(1, Buffer.from('hello')),
    encoder.data(3, Buffer.alloc(0), true),
    encoder.ping(7),
    encoder.data(1, Buffer.alloc(20_000, 'x'), true),
    encoder.rstStream(1, 5),
    encoder.goaway(3),
  ]);
  const prng = seededPrng(1);
  for (let round = 0; round < 20; round++) {
    const decoder = new SpdyDecoder();
    const frames: SpdyFrame[] = [];
    for (let at = 0; at < wire.length; ) {
      const length = round === 0 ? 1 : 1 + below(prng, round === 1 ? wire.length : 5000);
      frames.push(...decoder.push(wire.subarray(at, at + length)));
      at += length;
    }
    const told = joined(frames).map((frame) =>
      frame.kind === 'data'
        ? { ...frame, data: frame.data.length }
        : 'headers' in frame
          ? { ...frame, headers: [...frame.headers] }
          : frame,
    );
    assert.deepEqual(told, [
      {
        kind: 'syn-stream',
        streamId: 1,
        headers: [
          ['streamtype', 'error'],
          ['port', '80'],
        ],
        fin: false,
      },
      { kind: 'syn-reply', streamId: 1, headers: [], fin: false },
      { kind: 'syn-stream', streamId: 3, headers: [['streamtype', 'data']], fin: true },
      { kind: 'data', streamId: 1, data: 5, fin: false },
      { kind: 'data', streamId: 3, data: 0, fin: true },
      { kind: 'ping', id: 7 },
      { kind: 'data', streamId: 1, data: 20_000, fin: true },
      { kind: 'rst-stream', streamId: 1, status: 5 },
      { kind: 'goaway', lastStreamId: 3, status: 0 },
    ]);
  }
});

test('frames that are not spoken here are read over', limit, () => {
  const encoder = new SpdyEncoder();
  const windowUpdate = Buffer.from('800300090000000800000001000fffff', 'hex');
  const frames = new SpdyDecoder().push(Buffer.concat([windowUpdate, encoder.ping(1)]));
  assert.deepEqual(frames, [{ kind: 'ping', id: 1 }]);
});

test('another version, a control frame beyond the limit, and a header block that lies are refused', limit, () => {
  const refused = (hex: string) => assert.throws(() => new SpdyDecoder().push(Buffer.from(hex, 'hex')), SpdyError);
  refused('8002000600000004');
  refused('8003000600ffffff');
  const reply = new SpdyEncoder().synReply(1, new Map([['a', 'b']]));
  // The count of headers, behind the frame's head, the stream, the zlib head and the stored block's.
  reply.writeUInt32BE(9, 8 + 4 + 2 + 5);
  assert.throws(() => new SpdyDecoder().push(reply), SpdyError);
});
