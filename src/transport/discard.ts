/** Lets go of an answer that nobody takes: its body, and the connection behind a 101, which would be held for ever otherwise. */
import type { HttpResponse } from './http.ts';
import { joinedPair } from './relay.ts';

/** Whoever answered sees a peer that has gone. */
export function discard({ body, push, upgrade }: HttpResponse): void {
  if (push !== undefined) push({ write: () => true, end() {}, destroy() {} }).gone();
  // A body that fails now fails for nobody.
  else if (!(body instanceof Uint8Array)) Promise.resolve(body[Symbol.asyncIterator]().return?.()).catch(() => {});
  if (upgrade === undefined) return;
  const [connection] = joinedPair();
  upgrade(connection, new Uint8Array(0));
  connection.destroy();
}
