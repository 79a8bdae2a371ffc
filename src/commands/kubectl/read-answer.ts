/** Reads a whole answer as JSON; what the server refused is thrown as its Status. */
import { failure, type Status, StatusError } from '#kube-machinery/status.ts';
import type { HttpResponse } from '#transport/http.ts';

const bytesMax = 256 << 20;

/** @throws StatusError */
export async function readJson<T>(response: HttpResponse): Promise<T> {
  const text = await readText(response);
  if (response.status >= 200 && response.status < 300) return JSON.parse(text) as T;
  throw errorOf(response.status, text);
}

export async function readText({ body }: HttpResponse): Promise<string> {
  if (body instanceof Uint8Array) return Buffer.from(body).toString('utf8');
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > bytesMax) throw new Error(`the answer is longer than ${bytesMax} bytes`);
  }
  return Buffer.concat(chunks).toString('utf8');
}

export function errorOf(code: number, text: string): StatusError {
  try {
    const status = JSON.parse(text) as Status;
    if (status.kind === 'Status') return new StatusError(status);
  } catch {
    // Not ours: a proxy's page, say.
  }
  return failure(code, 'Unknown', text.trim() || `the server answered ${code}`);
}
