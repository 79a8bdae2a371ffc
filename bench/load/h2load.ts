/**
 * Load on a gRPC server by nghttp2's h2load, which costs the machine a tenth of what a client in JavaScript does: what is measured is the server.
 * Every request is the same bytes. Needs the Debian package nghttp2-client.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Method } from '#wire/grpc/service.ts';

const run = promisify(execFile);

export interface Rate {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Operations per second of the servers' own processor time. */
  readonly perCpuSecond: number;
}

export interface Shape {
  readonly connections: number;
  /** Requests under way on each. */
  readonly streams: number;
}

/** Bounded in time: the requests that are done in `seconds`, after half a second that does not count. */
export async function h2load<I>(options: {
  readonly url: string;
  readonly method: Method<I>;
  readonly request: I;
  readonly shape: Shape;
  readonly seconds: number;
  /** Whose processor time counts. */
  readonly pids: readonly number[];
}): Promise<Rate> {
  const { url, method, request, shape, seconds, pids } = options;
  const folder = mkdtempSync(join(tmpdir(), 'h2load-'));
  try {
    const message = method.request.encode(request);
    const body = Buffer.alloc(5 + message.length);
    body.writeUInt32BE(message.length, 1);
    body.set(message, 5);
    const bodyFile = join(folder, 'body');
    const logFile = join(folder, 'log');
    writeFileSync(bodyFile, body);
    const before = cpuSeconds(pids);
    const { stdout } = await run('h2load', [
      ...['-D', String(seconds), '--warm-up-time', '1', '-t', '1'],
      ...['-c', String(shape.connections), '-m', String(shape.streams)],
      ...['-H', 'content-type: application/grpc', '-H', 'te: trailers'],
      ...['-d', bodyFile, '--log-file', logFile, `${url}${method.path}`],
    ]);
    const cpu = (cpuSeconds(pids) - before) * (seconds / (seconds + 1));
    const done = Number(/(\d+) succeeded/.exec(stdout)?.[1] ?? 0);
    if (done === 0) throw new Error(`h2load had no success:\n${stdout}`);
    const micros = readFileSync(logFile, 'utf8')
      .split('\n')
      .map((line) => Number(line.split('\t')[2]))
      .filter((value) => value > 0)
      .sort((a, b) => a - b);
    const at = (share: number) => (micros[Math.floor(micros.length * share)] ?? 0) / 1000;
    return { perSecond: done / seconds, p50Ms: at(0.5), p99Ms: at(0.99), perCpuSecond: done / cpu };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** User and system time of processes (proc(5), in hundredths of a second). */
export function cpuSeconds(pids: readonly number[]): number {
  let hundredths = 0;
  for (const pid of pids) {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    hundredths += Number(fields[11]) + Number(fields[12]);
  }
  return hundredths / 100;
}

/** Resident memory of a process in MiB. */
export function residentMiB(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
}

export function rateText({ perSecond, p50Ms, p99Ms, perCpuSecond }: Rate): string {
  return `${perSecond.toFixed(0).padStart(6)}/s p50 ${p50Ms.toFixed(2).padStart(6)} p99 ${p99Ms.toFixed(2).padStart(7)} ms ${perCpuSecond.toFixed(0).padStart(6)}/cpu-s`;
}

/** One line: the reference, ours, and what counts. */
export function compareLine(name: string, reference: Rate, ours: Rate): string {
  const ratio = (ours.perSecond / reference.perSecond).toFixed(2);
  const ofCpu = (ours.perCpuSecond / reference.perCpuSecond).toFixed(2);
  return `${name.padEnd(34)} reference ${rateText(reference)}   ours ${rateText(ours)}   ratio ${ratio}, of cpu ${ofCpu}\n`;
}
