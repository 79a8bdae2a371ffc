/**
 * Hosts of a cluster on one machine: a network namespace each, joined by a bridge to the namespace of the script, and a disk each, of a size that can be filled.
 * What goes wrong between them is made by the kernel: nftables drops packets, a token bucket makes a line slow, a disk is full or read-only. Needs root, and
 * namespaces of the script's own (`own-namespaces.ts`): everything ends with them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readlinkSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, run } from '../shell.ts';

const network = '10.77.0';
/** The script's own address, where its clients are. */
export const clientsAddress = `${network}.254`;
const diskMebibytes = 256;
const chunkBytes = 1 << 20;

export class Host {
  readonly name: string;
  readonly address: string;
  /** A folder on its own disk. */
  readonly dataDir: string;
  readonly #disk: string;
  readonly #holder: ChildProcess;
  #tables = 0;
  #isSlow = false;

  private constructor(name: string, number: number, folder: string, holder: ChildProcess) {
    this.name = name;
    this.address = `${network}.${number}`;
    this.#disk = join(folder, name);
    this.dataDir = join(this.#disk, 'etcd');
    this.#holder = holder;
  }

  /** @param folder for mount points */
  static async start(count: number, folder: string): Promise<Host[]> {
    await run('ip', ['link', 'add', 'hosts', 'type', 'bridge', 'forward_delay', '0']);
    await run('ip', ['addr', 'add', `${clientsAddress}/24`, 'dev', 'hosts']);
    await run('ip', ['link', 'set', 'hosts', 'up']);
    const hosts: Host[] = [];
    for (let number = 1; number <= count; number++) {
      const holder = spawn('unshare', ['--net', 'sleep', 'infinity'], { stdio: 'ignore' });
      const host = new Host(`m${number}`, number, folder, holder);
      await host.#join();
      hosts.push(host);
    }
    return hosts;
  }

  async #join(): Promise<void> {
    const own = readlinkSync('/proc/self/ns/net');
    await eventually(
      'the namespace is there',
      async () => readlinkSync(`/proc/${this.#holder.pid}/ns/net`),
      (ns) => ns !== own,
    );
    const line = `line-${this.name}`;
    await run('ip', ['link', 'add', line, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(this.#holder.pid)]);
    await run('ip', ['link', 'set', line, 'master', 'hosts', 'up']);
    await this.run('ip', 'addr', 'add', `${this.address}/24`, 'dev', 'eth0');
    for (const name of ['lo', 'eth0']) await this.run('ip', 'link', 'set', name, 'up');
    mkdirSync(this.#disk);
    await run('mount', ['-t', 'tmpfs', '-o', `size=${diskMebibytes}m`, this.name, this.#disk]);
  }

  /** The words that run a program there. */
  command(...words: readonly string[]): [string, ...string[]] {
    return ['nsenter', `--net=/proc/${this.#holder.pid}/ns/net`, '--', ...words];
  }

  async run(...words: readonly string[]): Promise<string> {
    const [program, ...args] = this.command(...words);
    return (await run(program, args)).stdout;
  }

  /**
   * Drops what comes from these addresses. @param percent of the packets
   * @returns ends it
   */
  async drop(from: readonly string[], percent = 100): Promise<() => Promise<void>> {
    const table = `fault${this.#tables++}`;
    const chance = percent === 100 ? '' : `numgen random mod 100 < ${percent} `;
    const rules = [
      `add table ip ${table}`,
      `add chain ip ${table} in { type filter hook input priority 0; }`,
      `add rule ip ${table} in ip saddr { ${from.join(', ')} } ${chance}drop`,
    ];
    await this.run('nft', rules.join('; '));
    return async () => void (await this.run('nft', 'delete', 'table', 'ip', table));
  }

  get isSlow(): boolean {
    return this.#isSlow;
  }

  /**
   * What it sends waits in a queue, and gets lost where the queue is full. One at a time.
   * @returns ends it
   */
  async slowDown(kilobits: number): Promise<() => Promise<void>> {
    const bucket = ['rate', `${kilobits}kbit`, 'burst', '4kb', 'latency', '300ms'];
    this.#isSlow = true;
    await this.run('tc', 'qdisc', 'add', 'dev', 'eth0', 'root', 'tbf', ...bucket);
    return async () => {
      await this.run('tc', 'qdisc', 'del', 'dev', 'eth0', 'root');
      this.#isSlow = false;
    };
  }

  /** Leaves no byte on its disk. @returns makes room again */
  fillDisk(): () => void {
    const ballast = join(this.#disk, 'ballast');
    for (let bytes = chunkBytes; bytes >= 1; bytes >>= 4) fill(ballast, bytes);
    return () => rmSync(ballast);
  }

  /** Gives its disk back, with everything on it. */
  async end(): Promise<void> {
    await run('umount', ['--lazy', this.#disk]);
  }

  /** While nothing there is open for writing. */
  async remount(how: 'ro' | 'rw'): Promise<void> {
    await run('mount', ['-o', `remount,${how}`, this.#disk]);
  }
}

function fill(path: string, bytes: number): void {
  const file = openSync(path, 'a');
  const chunk = Buffer.alloc(bytes, 1);
  try {
    for (;;) if (writeSync(file, chunk) < bytes) return;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(file);
  }
}
