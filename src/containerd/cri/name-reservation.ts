/** Names that are in use: a pod's attempt, or a container's, exists once, also while it is being made. */
import { Code, RpcError } from '#wire/grpc/status.ts';

export class NameReservation {
  readonly #idOf = new Map<string, string>();
  readonly #nameOf = new Map<string, string>();
  readonly #kind: string;

  constructor(kind: 'sandbox' | 'container') {
    this.#kind = kind;
  }

  reserve(name: string, id: string): void {
    const holder = this.#idOf.get(name);
    if (holder !== undefined && holder !== id)
      throw new RpcError(
        Code.Unknown,
        `failed to reserve ${this.#kind} name ${JSON.stringify(name)}: name ${JSON.stringify(name)} is reserved for ${JSON.stringify(holder)}`,
      );
    this.#idOf.set(name, id);
    this.#nameOf.set(id, name);
  }

  release(id: string): void {
    const name = this.#nameOf.get(id);
    if (name === undefined) return;
    this.#nameOf.delete(id);
    this.#idOf.delete(name);
  }
}
