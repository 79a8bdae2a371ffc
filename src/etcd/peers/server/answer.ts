/** Answers of the peer port in Go's form: plain texts for errors, JSON and protobuf for the rest. */
import type { HeaderList, HttpRequest, HttpResponse } from '#transport/http.ts';
import type { PeerContext } from '../context.ts';
import { PeerError, peerError } from '../peer-error.ts';

export function text(status: number, body: string, headers: HeaderList = []): HttpResponse {
  return {
    status,
    headers: [['content-type', 'text/plain; charset=utf-8'], ['x-content-type-options', 'nosniff'], ...headers],
    body: Buffer.from(`${body}\n`),
  };
}

export function refuse({ status, message }: PeerError, headers: HeaderList = []): HttpResponse {
  return text(status, message, headers);
}

/** After an error in the middle of a request's body: the rest of it is not read, so the connection is of no more use. */
export const closing: HeaderList = [['connection', 'close']];

/** @throws PeerError for any other method than the one */
export function allowMethod({ method }: HttpRequest, allowed: 'GET' | 'POST'): void {
  if (method !== allowed) throw new MethodNotAllowed(allowed);
}

class MethodNotAllowed extends PeerError {
  readonly allowed: string;

  constructor(allowed: string) {
    const { status, message } = peerError('methodNotAllowed');
    super(status, message);
    this.allowed = allowed;
  }
}

/** As `answer`, but refusals carry these headers, too: Go sets them before it looks at the rest. */
export async function withHeaders(
  headers: HeaderList,
  answer: () => HttpResponse | Promise<HttpResponse>,
): Promise<HttpResponse> {
  try {
    return await answer();
  } catch (error) {
    if (error instanceof PeerError) return refuse(error, headers);
    throw error;
  }
}

export function notFound(): HttpResponse {
  return refuse(peerError('notFound'));
}

/** What is not in the table is this member's fault, and told to its operator only. */
export function answerError(error: unknown, { log }: Pick<PeerContext, 'log'>): HttpResponse {
  if (error instanceof MethodNotAllowed) return refuse(error, [['allow', error.allowed]]);
  if (error instanceof PeerError) return refuse(error);
  log(`a request of a peer failed: ${error}`);
  return json({ message: 'Internal Server Error' }, 500);
}

export function json(value: unknown, status = 200, headers: HeaderList = []): HttpResponse {
  return {
    status,
    headers: [['content-type', 'application/json'], ...headers],
    body: Buffer.from(JSON.stringify(value)),
  };
}
