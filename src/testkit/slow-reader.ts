/** A client of etcd that asks for ranges and takes none of the answers until it is told to: its windows are closed, or it does not read its socket. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { KV, RangeRequest } from '#api-etcd/gen/rpc.ts';
import { joinSocket } from '#transport/http2-socket.ts';
import { frameMessage } from '#wire/grpc/framing.ts';
import type { Http2Stream } from '#wire/http2/connection.ts';

export interface SlowReader extends Disposable {
  /** How each range that has ended did: its status, and how many bytes it was. */
  readonly answers: readonly { readonly status: string; readonly bytes: number }[];
  /** From now on it takes everything. */
  read(): void;
  /** Gives up the ranges that have not ended. */
  cancel(): void;
}

/** @param how `closed windows` stop the server in HTTP/2, `deaf socket` promises to take gigabytes and then reads nothing */
export async function slowReader(
  port: number,
  request: Partial<RangeRequest>,
  { count, how }: { readonly count: number; readonly how: 'closed windows' | 'deaf socket' },
): Promise<SlowReader> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const windowBytes = how === 'deaf socket' ? 2 ** 31 - 1 : 1 << 17;
  const limits = { streamWindowBytes: windowBytes, connectionWindowBytes: windowBytes };
  const connection = joinSocket(socket, { role: 'client', limits });
  const answers: { status: string; bytes: number }[] = [];
  const unread: { stream: () => Http2Stream; bytes: number }[] = [];
  const streams = new Set<Http2Stream>();
  let reads = false;
  for (let i = 0; i < count; i++) {
    let bytes = 0;
    const stream: Http2Stream = connection.open(
      [
        [':method', 'POST'],
        [':scheme', 'http'],
        [':path', KV.methods.range.path],
        [':authority', 'etcd'],
        ['content-type', 'application/grpc'],
        ['te', 'trailers'],
      ],
      false,
      {
        headers(headers, endStream) {
          if (!endStream) return;
          streams.delete(stream);
          answers.push({ status: headers.find(([name]) => name === 'grpc-status')?.[1] ?? '', bytes });
        },
        data(chunk) {
          bytes += chunk.length;
          if (reads) stream.consume(chunk.length);
          else unread.push({ stream: () => stream, bytes: chunk.length });
        },
        reset() {
          streams.delete(stream);
        },
        writable() {},
      },
    )!;
    streams.add(stream);
    stream.send(frameMessage(KV.methods.range.request, RangeRequest.create(request)), true);
  }
  if (how === 'deaf socket') socket.pause();
  return {
    answers,
    read() {
      reads = true;
      for (const { stream, bytes } of unread.splice(0)) stream().consume(bytes);
      socket.resume();
    },
    cancel() {
      for (const stream of streams) stream.reset(8);
    },
    [Symbol.dispose]() {
      socket.destroy();
    },
  };
}
