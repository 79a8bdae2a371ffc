/**
 * Pod sandboxes by id, in memory and in the metadata store. A sandbox holds a pod's namespaces (pinned at paths, no process needed), its
 * addresses and its files. Who makes, stops and removes them are the RPCs.
 */
import { PodSandboxConfig } from '#api-cri/gen/api.ts';
import type { Json, MetadataStore } from '#image/metadata-store.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import { NameReservation } from './name-reservation.ts';

export interface Sandbox {
  readonly id: string;
  readonly config: PodSandboxConfig;
  readonly runtimeHandler: string;
  /** Nanoseconds since 1970. */
  readonly createdAt: bigint;
  /** Paths of the pinned namespaces; absent where the pod uses the node's. */
  readonly namespaces: { readonly network?: string; readonly ipc?: string; readonly uts?: string };
  /** The container that holds the pid namespace, for pods whose containers share one. */
  readonly pauseId?: string;
  readonly hostname: string;
  readonly ips: readonly string[];
  readonly ready: boolean;
  /** Its addresses were given back. */
  readonly networkGone?: true;
}

const bucket = 'cri/sandboxes';
const idPrefixLengthMin = 1;

export class SandboxStore {
  readonly names = new NameReservation('sandbox');
  readonly #metadata: MetadataStore;
  readonly #byId = new Map<string, Sandbox>();

  constructor(metadata: MetadataStore) {
    this.#metadata = metadata;
    for (const [id, value] of metadata.entries(bucket)) {
      const { config, createdAt, ...rest } = value as unknown as Stored;
      const sandbox: Sandbox = {
        ...rest,
        id,
        config: PodSandboxConfig.decode(Buffer.from(config, 'base64')),
        createdAt: BigInt(createdAt),
      };
      this.#byId.set(id, sandbox);
      this.names.reserve(sandboxName(sandbox.config), id);
    }
  }

  list(): Sandbox[] {
    return [...this.#byId.values()];
  }

  /** By id, or by a beginning of it that only one has. */
  find(id: string): Sandbox | undefined {
    return this.#byId.get(id) ?? findByPrefix(this.#byId, id);
  }

  /** NotFound, in containerd's words for the RPC that asks. */
  require(id: string, what = 'an error occurred when try to find sandbox'): Sandbox {
    const sandbox = this.find(id);
    if (sandbox === undefined) throw new RpcError(Code.NotFound, `${what}: not found`);
    return sandbox;
  }

  async put(sandbox: Sandbox): Promise<Sandbox> {
    this.#byId.set(sandbox.id, sandbox);
    const { id, config, createdAt, ...rest } = sandbox;
    const stored: Stored = {
      ...rest,
      config: PodSandboxConfig.encode(config).toString('base64'),
      createdAt: String(createdAt),
    };
    await this.#metadata.commit([{ bucket, key: id, value: stored as unknown as Json }]);
    return sandbox;
  }

  /** Changes what is known of a sandbox; nothing when it was removed meanwhile. */
  async update(id: string, change: Partial<Pick<Sandbox, 'ready' | 'networkGone'>>): Promise<void> {
    const sandbox = this.#byId.get(id);
    if (sandbox !== undefined) await this.put({ ...sandbox, ...change });
  }

  async delete(id: string): Promise<void> {
    this.#byId.delete(id);
    await this.#metadata.commit([{ bucket, key: id, value: undefined }]);
    this.names.release(id);
  }
}

type Stored = Omit<Sandbox, 'id' | 'config' | 'createdAt'> & { readonly config: string; readonly createdAt: string };

/** `NAME_NAMESPACE_UID_ATTEMPT`, as containerd names sandboxes. */
export function sandboxName({ metadata }: PodSandboxConfig): string {
  return [metadata?.name, metadata?.namespace, metadata?.uid, metadata?.attempt ?? 0].join('_');
}

/** The one value whose key begins with `prefix`; undefined for none or several. */
export function findByPrefix<T>(values: ReadonlyMap<string, T>, prefix: string): T | undefined {
  if (prefix.length < idPrefixLengthMin) return undefined;
  let found: T | undefined;
  for (const [key, value] of values)
    if (key.startsWith(prefix)) {
      if (found !== undefined) return undefined;
      found = value;
    }
  return found;
}
