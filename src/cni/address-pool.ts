/**
 * Which pod has which address, on disk: a file for each address, named by it, holding the pod's sandbox, as the CNI plugin host-local keeps
 * them. Addresses go round, so that one that was just given back rests before it is used again.
 */
import { listFolder, makeFolder, readIfThere, removeTree, replaceFile } from '#host/files.ts';
import { addressAt, formatAddress, type Prefix, parseAddress } from '#wire/netlink/ip-address.ts';

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

  /**
   * Reads what is taken. A file without an owner, as a power loss may leave it, takes nothing and goes; so does what is no address of the
   * range: half-written files.
   */
  static async open(folder: string, range: Prefix): Promise<AddressPool> {
    const pool = new AddressPool(folder, range);
    await makeFolder(folder);
    for (const name of await listFolder(folder)) {
      const bytes = await readIfThere(`${folder}/${name}`);
      const owner = bytes?.toString('utf8').split('\n')[0] ?? '';
      if (owner === '' || owner.includes('\0') || !pool.#has(name)) await removeTree(`${folder}/${name}`);
      else pool.#taken.set(name, owner);
    }
    return pool;
  }

  /** All that have an address. */
  owners(): ReadonlySet<string> {
    return new Set(this.#taken.values());
  }

  /** The address of its own that `owner` has had, or a free one. @throws Error when all are taken */
  async take(owner: string): Promise<string> {
    for (const [address, holder] of this.#taken) if (holder === owner) return address;
    const count = this.#count;
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

  /** Addresses for pods: without the broadcast address, and those before the first. */
  get #count(): number {
    return 2 ** (32 - this.#range.length) - 1 - firstOffset;
  }

  #has(name: string): boolean {
    try {
      const address = parseAddress(name);
      const offset = address.readUInt32BE(0) - this.#range.address.readUInt32BE(0);
      return (
        address.length === 4 &&
        formatAddress(address) === name &&
        offset >= firstOffset &&
        offset < firstOffset + this.#count
      );
    } catch {
      return false;
    }
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
