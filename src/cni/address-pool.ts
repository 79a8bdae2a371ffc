/**
 * Which pod has which address, on disk: a file for each address, named by it, holding the pod's sandbox, as the CNI plugin host-local keeps
 * them. Addresses go round, so that one that was just given back rests before it is used again.
 */
import { listFolder, makeFolder, readIfThere, removeTree, replaceFile } from '#host/files.ts';
import { addressAt, formatAddress, type Prefix } from '#wire/netlink/ip-address.ts';

export class AddressPool {
  readonly #folder: string;
  readonly #range: Prefix;
  /** Owner by address. */
  readonly #taken = new Map<string, string>();
  #next = firstOffset;

  private constructor(folder: string, range: Prefix) {
    this.#folder = folder;
    this.#range = range;
  }

  /** Reads what is taken. */
  static async open(folder: string, range: Prefix): Promise<AddressPool> {
    const pool = new AddressPool(folder, range);
    await makeFolder(folder);
    for (const address of await listFolder(folder)) {
      const owner = await readIfThere(`${folder}/${address}`);
      if (owner !== undefined) pool.#taken.set(address, owner.toString('utf8').split('\n')[0]!);
    }
    return pool;
  }

  /** The address of its own that `owner` has had, or a free one. @throws Error when all are taken */
  async take(owner: string): Promise<string> {
    for (const [address, holder] of this.#taken) if (holder === owner) return address;
    const count = 2 ** (32 - this.#range.length) - 1 - firstOffset;
    for (let i = 0; i < count; i++) {
      const offset = firstOffset + ((this.#next - firstOffset + i) % count);
      const address = formatAddress(addressAt(this.#range, BigInt(offset))!);
      if (this.#taken.has(address)) continue;
      this.#next = offset + 1;
      this.#taken.set(address, owner);
      try {
        await replaceFile(`${this.#folder}/${address}`, `${owner}\neth0`, { durable: false });
      } catch (error) {
        this.#taken.delete(address);
        throw error;
      }
      return address;
    }
    throw new Error('no IP addresses available in range set');
  }

  /** Gives back everything that `owner` has. */
  async release(owner: string): Promise<void> {
    for (const [address, holder] of this.#taken) {
      if (holder !== owner) continue;
      await removeTree(`${this.#folder}/${address}`);
      this.#taken.delete(address);
    }
  }
}

/** The network's own address and the gateway's are not for pods. */
const firstOffset = 2;
