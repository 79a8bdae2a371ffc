/** Runs members of one cluster as processes on loopback, each by its own binary: ours, the reference, or a mix of both. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster } from '#api-etcd/gen/rpc.ts';
import { createEtcdClient } from '#etcd-client/client.ts';
import { systemClock } from '#host/clock.ts';
import type { Channel } from '#rpc/call.ts';
import { connectRpc } from '#rpc/client.ts';
import { parseTarget } from '#transport/dial.ts';
import { freePorts } from './etcd-process.ts';
import { referenceBinary } from './reference.ts';

export type Kind = 'ours' | 'reference';

export interface MemberProcess {
  readonly name: string;
  /** What it runs, the next time that it is started. */
  kind: Kind;
  readonly clientUrl: string;
  readonly peerUrl: string;
  readonly dataDir: string;
  child: ChildProcess | undefined;
  log: string;
}

const ourBinary = new URL('../../bin/etcd', import.meta.url).pathname;

export class EtcdCluster implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'etcd-cluster-'));
  readonly members: MemberProcess[] = [];
  readonly #flags: readonly string[];
  #defined = 0;

  private constructor(flags: readonly string[]) {
    this.#flags = flags;
  }

  /** Resolves when all members serve. */
  static async start(kinds: readonly Kind[], flags: readonly string[] = []): Promise<EtcdCluster> {
    const cluster = new EtcdCluster(flags);
    try {
      // All at once: a port that was let go of could be given again.
      const ports = await freePorts(2 * kinds.length);
      for (const [i, kind] of kinds.entries()) cluster.#define(kind, ports.slice(2 * i));
      for (const member of cluster.members) cluster.run(member, 'new');
      await Promise.all(cluster.members.map((member) => cluster.serving(member)));
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Adds a member to the cluster by its API, and starts it. */
  async add(kind: Kind, via: MemberProcess): Promise<MemberProcess> {
    const member = this.#define(kind, await freePorts(2));
    await using channel = this.channel(via);
    await channel.unary(Cluster.methods.memberAdd, { peerURLs: [member.peerUrl], isLearner: false });
    this.run(member, 'existing');
    await this.serving(member);
    return member;
  }

  /** Starts a member's process. */
  run(member: MemberProcess, state: 'new' | 'existing'): void {
    const { name, kind, clientUrl, peerUrl, dataDir } = member;
    const binary = kind === 'ours' ? ourBinary : referenceBinary('etcd-server', 'etcd');
    const child = spawn(
      binary,
      [
        ...['--name', name, '--data-dir', dataDir],
        ...['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
        ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
        ...['--initial-cluster', this.members.map((each) => `${each.name}=${each.peerUrl}`).join(',')],
        ...['--initial-cluster-state', state],
        ...this.#flags,
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    member.child = child;
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        member.log = (member.log + chunk.toString()).slice(-200_000);
      });
  }

  /** Ends a member's process; SIGKILL is a crash. */
  async stop(member: MemberProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const { child } = member;
    if (child === undefined) return;
    member.child = undefined;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  channel(member: MemberProcess): Channel {
    return connectRpc({ target: parseTarget(member.clientUrl), clock: systemClock });
  }

  /** Resolves when a member answers a linearizable read. */
  async serving(member: MemberProcess, withinMs = 30_000): Promise<void> {
    const until = Date.now() + withinMs;
    for (;;) {
      const { child } = member;
      if (child === undefined || child.exitCode !== null || child.signalCode !== null)
        throw new Error(`${member.name} ended:\n${member.log}`);
      try {
        await using channel = this.channel(member);
        await createEtcdClient(channel, systemClock).range({ key: Buffer.from('x') });
        return;
      } catch (error) {
        if (Date.now() > until) throw new Error(`${member.name} does not serve:\n${member.log}`, { cause: error });
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map((member) => this.stop(member, 'SIGKILL')));
    rmSync(this.folder, { recursive: true, force: true });
  }

  #define(kind: Kind, [clientPort, peerPort]: readonly number[]): MemberProcess {
    const name = `m${this.#defined++}`;
    const member: MemberProcess = {
      name,
      kind,
      clientUrl: `http://127.0.0.1:${clientPort}`,
      peerUrl: `${this.#flags.includes('--peer-cert-file') ? 'https' : 'http'}://127.0.0.1:${peerPort}`,
      dataDir: join(this.folder, name),
      child: undefined,
      log: '',
    };
    this.members.push(member);
    return member;
  }
}
