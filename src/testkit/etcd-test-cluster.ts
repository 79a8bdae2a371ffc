/** Members of one cluster in one process, on disks in memory and a network without sockets, in virtual time that moves by itself while the test waits. */
import assert from 'node:assert/strict';
import { Maintenance } from '#api-etcd/gen/rpc.ts';
import type { InitialMember } from '#etcd/identity.ts';
import { type Etcd, type EtcdConfig, startEtcd } from '#etcd/start.ts';
import { createEtcdClient, type EtcdClient } from '#etcd-client/client.ts';
import { drainTurns } from '#host/event-loop.ts';
import { utf8Decode, utf8Encode } from '#std/bytes.ts';
import { seededPrng } from '#std/prng.ts';
import { VirtualClock } from '#std/virtual-clock.ts';
import { MemoryDisk } from '#storage/memory-disk.ts';
import { MemoryPeers } from './memory-peers.ts';

const bytes = utf8Encode;

export class TestCluster implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly peers = new MemoryPeers();
  readonly disks = new Map<string, MemoryDisk>();
  readonly members = new Map<string, Etcd>();
  /** What members have told their operators. */
  readonly log: string[] = [];
  readonly #prng = seededPrng(7);
  readonly #initial: InitialMember[];
  readonly #config: EtcdConfig;

  constructor(names: readonly string[], config: EtcdConfig = {}) {
    this.#initial = names.map(initial);
    this.#config = config;
  }

  static async start(names: readonly string[], config: EtcdConfig = {}): Promise<TestCluster> {
    const cluster = new TestCluster(names, config);
    await Promise.all(names.map((name) => cluster.startMember(name)));
    await cluster.until(() => cluster.leaderName !== undefined);
    await cluster.passes(Promise.all([...cluster.members.values()].map(({ ready }) => ready)));
    return cluster;
  }

  async startMember(name: string, config: EtcdConfig = {}): Promise<Etcd> {
    const disk = this.disks.get(name) ?? new MemoryDisk();
    this.disks.set(name, disk);
    const { peerUrls } = initial(name);
    const etcd = await startEtcd({
      config: {
        name,
        peerUrls,
        clientUrls: [`http://${name}:2379`],
        dataDir: name,
        initialCluster: this.#initial,
        ...this.#config,
        ...config,
      },
      deps: {
        clock: this.clock,
        prng: this.#prng,
        disk,
        peers: this.peers.transport(peerUrls),
        log: (line) => this.log.push(line),
      },
    });
    this.members.set(name, etcd);
    return etcd;
  }

  /** As it should be done: its folder has everything. */
  async stop(name: string): Promise<void> {
    const etcd = this.members.get(name)!;
    this.members.delete(name);
    await this.passes(etcd[Symbol.asyncDispose]());
  }

  /** As by a power cut. */
  kill(name: string): void {
    const etcd = this.members.get(name)!;
    this.disks.set(name, this.disks.get(name)!.afterCrash());
    this.members.delete(name);
    // What it still does reaches nobody: its disk is another one, its network is closed.
    this.peers.isolate(etcd.member.identity.memberId);
    etcd[Symbol.asyncDispose]().then(undefined, () => {});
  }

  client(name: string): EtcdClient {
    return createEtcdClient(this.members.get(name)!.connect(), this.clock);
  }

  get leaderName(): string | undefined {
    const found = [...this.members].filter(([, { member }]) => member.isLeader);
    return found.sort(([, a], [, b]) => b.member.term - a.member.term)[0]?.[0];
  }

  get followerNames(): string[] {
    return [...this.members.keys()].filter((name) => name !== this.leaderName);
  }

  /** Lets time pass until something is so. */
  async until(isSo: () => boolean): Promise<void> {
    for (let step = 0; step < 2000; step++) {
      if (isSo()) return;
      await this.clock.advance(20, drainTurns);
    }
    assert.fail('it never came to that');
  }

  /** Lets time pass until a promise settles. */
  async passes<T>(promise: PromiseLike<T>): Promise<T> {
    let settled = false;
    const mark = () => {
      settled = true;
    };
    promise.then(mark, mark);
    await this.until(() => settled);
    return promise;
  }

  put(name: string, key: string, value: string) {
    return this.passes(this.client(name).put({ key: bytes(key), value: bytes(value) }));
  }

  async get(name: string, key: string, serializable = false): Promise<string | undefined> {
    const { kvs } = await this.passes(this.client(name).range({ key: bytes(key), serializable }));
    return kvs[0] && utf8Decode(kvs[0].value);
  }

  /** All members have applied the same, and hold the same. */
  async agree(): Promise<void> {
    const all = [...this.members.values()].map(({ member }) => member);
    await this.until(() => new Set(all.map(({ appliedIndex }) => appliedIndex)).size === 1);
    const hashes = await Promise.all(
      [...this.members.values()].map((etcd) => etcd.connect().unary(Maintenance.methods.hashKV, { revision: 0 })),
    );
    assert.equal(new Set(hashes.map(({ hash, hashRevision }) => `${hash}@${hashRevision}`)).size, 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.passes(Promise.all([...this.members.values()].map((etcd) => etcd[Symbol.asyncDispose]())));
  }
}

export function initial(name: string): InitialMember {
  return { name, peerUrls: [`http://${name}:2380`] };
}
