/** Asks a running cluster over its control socket. */
import { emptyBytes } from '#std/bytes.ts';
import { createFetch } from '#transport/fetch.ts';
import { CommandError, ExitCode } from './command.ts';

const answerBytesMax = 16 << 20;

/** The answer's JSON. @throws CommandError what the cluster says went wrong */
export async function ask(socket: string, method: string, target: string): Promise<unknown> {
  await using fetch = createFetch({ address: `unix://${socket}` });
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
    signal: new AbortController().signal,
  });
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body instanceof Uint8Array ? [response.body] : response.body) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > answerBytesMax) throw new CommandError(ExitCode.failed, 'the cluster answers without end');
  }
  const value = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { readonly message?: string };
  if (response.status >= 400)
    throw new CommandError(ExitCode.failed, value.message ?? `the cluster answered ${response.status}`);
  return value;
}
