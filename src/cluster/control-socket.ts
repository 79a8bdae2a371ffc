/** Asks a running cluster, or one of its control planes, over its control socket. JSON over HTTP. */
import { emptyBytes } from '#std/bytes.ts';
import type { Clock } from '#std/clock.ts';
import { createFetch } from '#transport/fetch.ts';

const answerBytesMax = 16 << 20;

/** What the other end says went wrong. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
}

export interface AskOptions {
  readonly clock: Clock;
  /** Until the whole answer is there. Default: no limit. */
  readonly timeoutMs?: number;
}

/** The answer's JSON. @throws ControlError what the other end says; else the socket's error, or that the time is over */
export async function askControl(
  socket: string,
  method: string,
  target: string,
  { clock, timeoutMs }: AskOptions,
): Promise<unknown> {
  await using fetch = createFetch({ address: `unix://${socket}` });
  const aborter = new AbortController();
  using _ =
    timeoutMs === undefined
      ? undefined
      : clock.after(timeoutMs, () => aborter.abort(new Error(`${socket} did not answer in ${timeoutMs / 1000} s`)));
  const response = await fetch({
    method,
    target,
    headers: [],
    authority: 'cluster',
    protocol: 'HTTP/1.1',
    body: (async function* () {
      yield emptyBytes;
    })(),
    peer: { address: socket },
    signal: aborter.signal,
  });
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body instanceof Uint8Array ? [response.body] : response.body) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > answerBytesMax) throw new ControlError('the cluster answers without end');
  }
  const value = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { readonly message?: string };
  if (response.status >= 400) throw new ControlError(value.message ?? `the cluster answered ${response.status}`);
  return value;
}
