/** Short-lived connections that only ask whether somebody answers: what HTTP and TCP probes and hooks need. */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';

export interface HttpQuestion {
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  /** Begins with `/`. */
  readonly path: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const bodyBytesMax = 10 << 10;

/** Asks once with GET, following no redirects. Certificates are not verified: the asker only wants to know who is there. */
export function askHttp(question: HttpQuestion): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const request = (question.scheme === 'https' ? httpsRequest : httpRequest)({
      host: question.host,
      port: question.port,
      path: question.path,
      method: 'GET',
      headers: Object.fromEntries(question.headers),
      agent: false,
      signal: question.signal,
      ...(question.scheme === 'https' && { rejectUnauthorized: false }),
    });
    const deadline = setTimeout(
      () => request.destroy(new Error('context deadline exceeded (Client.Timeout exceeded while awaiting headers)')),
      question.timeoutMs,
    );
    const settle = () => clearTimeout(deadline);
    request.on('error', (error) => {
      settle();
      reject(asGoSays(error, question.host, question.port));
    });
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      const finish = () => {
        settle();
        response.destroy();
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8', 0, bodyBytesMax) });
      };
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        length += chunk.length;
        if (length >= bodyBytesMax) finish();
      });
      response.on('end', finish);
      response.on('error', (error) => {
        settle();
        reject(error);
      });
    });
    request.end();
  });
}

/** Resolves once a TCP connection stands, and closes it again. */
export function askTcp(host: string, port: number, timeoutMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const end = (error?: Error) => {
      clearTimeout(deadline);
      signal.removeEventListener('abort', abort);
      socket.destroy();
      if (error === undefined) resolve();
      else reject(error);
    };
    const abort = () => end(signal.reason as Error);
    const deadline = setTimeout(() => end(new Error(`dial tcp ${hostPort(host, port)}: i/o timeout`)), timeoutMs);
    signal.addEventListener('abort', abort, { once: true });
    socket.on('connect', () => end());
    socket.on('error', (error) => end(asGoSays(error, host, port)));
  });
}

/** What people read in events, and search for. */
const goTexts: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ETIMEDOUT: 'connection timed out',
  EACCES: 'permission denied',
};

/** The words of Go's net package. */
function asGoSays(error: Error, host: string, port: number): Error {
  const { code = '' } = error as NodeJS.ErrnoException;
  const text = goTexts[code];
  if (text !== undefined) return new Error(`dial tcp ${hostPort(host, port)}: connect: ${text}`, { cause: error });
  if (code === 'ENOTFOUND') return new Error(`dial tcp: lookup ${host}: no such host`, { cause: error });
  // The peer closed without an answer.
  if (code === 'ECONNRESET' && error.message === 'socket hang up') return new Error('EOF', { cause: error });
  return error;
}

function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** How a kubelet reaches into its pods for probes and hooks. */
export interface Reach {
  askHttp: typeof askHttp;
  askTcp: typeof askTcp;
}

/** Over this machine's network. */
export const hostReach: Reach = { askHttp, askTcp };
