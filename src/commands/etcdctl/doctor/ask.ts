/** Questions to servers that may not answer: what becomes of one is a value, never an error. */
import { isEtcdError } from '#api-etcd/errors.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import type { Asked } from './facts.ts';

/** A page that answers, but not with what was asked for. */
export class PageError extends Error {
  override readonly name = 'PageError';
}

/** Codes that a call ends with when nobody has answered. */
const unanswered = new Set<Code>([Code.Unavailable, Code.DeadlineExceeded, Code.Canceled, Code.Unknown, Code.Internal]);

export async function ask<T>(question: () => Promise<T>): Promise<Asked<T>> {
  try {
    return { kind: 'answered', value: await question() };
  } catch (error) {
    if (error instanceof RpcError) return ofCall(error);
    if (error instanceof PageError) return { kind: 'refused', why: error.message };
    // A mistake of ours is no answer.
    if (!(error instanceof Error) || error instanceof TypeError) throw error;
    return {
      kind: 'silent',
      why: error.name === 'TimeoutError' || error.name === 'AbortError' ? 'no answer in time' : error.message,
    };
  }
}

function ofCall(error: RpcError): Asked<never> {
  const { code, message } = error;
  const why = message.replace(/^connection error: desc = "transport: Error while dialing: (.*)"$/, '$1');
  const isDenied = code === Code.PermissionDenied || code === Code.Unauthenticated || isEtcdError(error, 'userEmpty');
  if (isDenied) return { kind: 'denied', why };
  if (code === Code.DeadlineExceeded) return { kind: 'silent', why: 'no answer in time' };
  // The server's own words, whatever their code.
  const isTheirs = message.startsWith('etcdserver: ') || !unanswered.has(code);
  return { kind: isTheirs ? 'refused' : 'silent', why };
}

/** The first of several questions that is answered; what became of the first of them where none is. */
export async function firstAnswer<T>(questions: readonly Promise<Asked<T>>[]): Promise<Asked<T>> {
  try {
    return await Promise.any(
      questions.map(async (question) => {
        const asked = await question;
        if (asked.kind !== 'answered') throw new PageError(asked.why);
        return asked;
      }),
    );
  } catch {
    return (await questions[0]) ?? { kind: 'silent', why: 'nobody was asked' };
  }
}
