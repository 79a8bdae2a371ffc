/** The program of the thread that hashes passwords: one request after the other, as they come. */
import { isMainThread, parentPort } from 'node:worker_threads';
import { compareSync, encodeBase64, hashSync } from 'bcryptjs';
import type { BcryptAnswer, BcryptRequest } from './bcrypt.ts';

if (!isMainThread)
  parentPort?.on('message', (request: BcryptRequest) => {
    const { id, password } = request;
    let answer: BcryptAnswer;
    try {
      answer = { id, result: 'hash' in request ? matches(password, request.hash) : hashed(request) };
    } catch (error) {
      answer = { id, error: String(error) };
    }
    parentPort!.postMessage(answer);
  });

function hashed({ password, cost, salt }: Extract<BcryptRequest, { readonly cost: number }>): string {
  const rounds = String(cost).padStart(2, '0');
  return hashSync(password, `$2a$${rounds}$${encodeBase64(salt as unknown as number[], salt.length)}`);
}

function matches(password: string, hash: string): boolean {
  try {
    return compareSync(password, hash);
  } catch {
    return false;
  }
}
