/**
 * Containers by id, in memory and in the metadata store: what each was made from, and how far it has come. A status only moves forward:
 * created, running, exited.
 */
import { ContainerConfig, LinuxContainerResources } from '#api-cri/gen/api.ts';
import type { Json, MetadataStore } from '#image/metadata-store.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';
import { NameReservation } from './name-reservation.ts';
import { findByPrefix } from './sandbox-store.ts';

export interface ContainerStatusValue {
  readonly state: 'created' | 'running' | 'exited' | 'unknown';
  /** Nanoseconds since 1970; 0 until then. */
  readonly startedAt: bigint;
  readonly finishedAt: bigint;
  readonly exitCode: number;
  readonly reason: string;
  readonly message: string;
  readonly pid: number;
}

export interface Container {
  readonly id: string;
  readonly sandboxId: string;
  readonly config: ContainerConfig;
  /** Nanoseconds since 1970. */
  readonly createdAt: bigint;
  readonly imageId: string;
  /** A digest reference of the image, or its id. */
  readonly imageRef: string;
  /** Absolute; empty for no log. */
  readonly logPath: string;
  /** A number. */
  readonly stopSignal: number;
  readonly user: { readonly uid: number; readonly gid: number; readonly groups: readonly number[] };
  /** As last set by create or update. */
  readonly resources: LinuxContainerResources | undefined;
  readonly status: ContainerStatusValue;
}

const bucket = 'cri/containers';

export class ContainerStore {
  readonly names = new NameReservation('container');
  readonly #metadata: MetadataStore;
  readonly #byId = new Map<string, Container>();

  constructor(metadata: MetadataStore) {
    this.#metadata = metadata;
    for (const [id, value] of metadata.entries(bucket)) {
      const { config, resources, status, createdAt, name, ...rest } = value as unknown as Stored;
      this.#byId.set(id, {
        ...rest,
        id,
        config: ContainerConfig.decode(Buffer.from(config, 'base64')),
        resources: resources === '' ? undefined : LinuxContainerResources.decode(Buffer.from(resources, 'base64')),
        createdAt: BigInt(createdAt),
        status: { ...status, startedAt: BigInt(status.startedAt), finishedAt: BigInt(status.finishedAt) },
      });
      this.names.reserve(name, id);
    }
  }

  list(): Container[] {
    return [...this.#byId.values()];
  }

  ofSandbox(sandboxId: string): Container[] {
    return this.list().filter((container) => container.sandboxId === sandboxId);
  }

  find(id: string): Container | undefined {
    return this.#byId.get(id) ?? findByPrefix(this.#byId, id);
  }

  require(id: string, what = `an error occurred when try to find container ${JSON.stringify(id)}`): Container {
    const container = this.find(id);
    if (container === undefined) throw new RpcError(Code.NotFound, `${what}: not found`);
    return container;
  }

  async put(container: Container, name: string): Promise<Container> {
    this.names.reserve(name, container.id);
    this.#byId.set(container.id, container);
    await this.#write(container, name);
    return container;
  }

  /** Changes what is known of a container that is there; undefined when it was removed meanwhile. */
  async update(
    id: string,
    change: { readonly status?: Partial<ContainerStatusValue>; readonly resources?: LinuxContainerResources },
  ): Promise<Container | undefined> {
    const container = this.#byId.get(id);
    if (container === undefined) return undefined;
    const updated: Container = {
      ...container,
      status: { ...container.status, ...change.status },
      resources: change.resources ?? container.resources,
    };
    this.#byId.set(id, updated);
    await this.#write(updated, (this.#metadata.get(bucket, id) as unknown as Stored).name);
    return updated;
  }

  async delete(id: string): Promise<void> {
    this.#byId.delete(id);
    await this.#metadata.commit([{ bucket, key: id, value: undefined }]);
    this.names.release(id);
  }

  async #write({ id, config, resources, status, createdAt, ...rest }: Container, name: string): Promise<void> {
    const stored: Stored = {
      ...rest,
      name,
      config: ContainerConfig.encode(config).toString('base64'),
      resources: resources === undefined ? '' : LinuxContainerResources.encode(resources).toString('base64'),
      createdAt: String(createdAt),
      status: { ...status, startedAt: String(status.startedAt), finishedAt: String(status.finishedAt) },
    };
    await this.#metadata.commit([{ bucket, key: id, value: stored as unknown as Json }]);
  }
}

type Stored = Omit<Container, 'id' | 'config' | 'resources' | 'createdAt' | 'status'> & {
  readonly name: string;
  readonly config: string;
  readonly resources: string;
  readonly createdAt: string;
  readonly status: Omit<ContainerStatusValue, 'startedAt' | 'finishedAt'> & {
    readonly startedAt: string;
    readonly finishedAt: string;
  };
};
