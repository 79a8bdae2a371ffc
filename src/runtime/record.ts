/**
 * A container on record: what its state folder says. `state.json` is written once, before the container exists; the monitor (or, for the
 * command line, the starter) adds `pid`, `started` and `exit`.
 */

import { checkSpec, specToJson } from '#api-oci/parse-spec.ts';
import type { Spec } from '#api-oci/runtime-spec.ts';
import type { CgroupFolders } from '#host-linux/cgroups/manager.ts';
import { readStateFile, writeStateFile } from '#host-linux/state-folder.ts';
import { RuntimeError } from './error.ts';

/** Bumped when the folder's shape changes; one daemon reads no other's. */
const recordVersion = 1;

export interface ContainerRecord {
  readonly id: string;
  readonly bundle: string;
  readonly rootfs: string;
  readonly spec: Spec;
  readonly folders: CgroupFolders;
  readonly labels: Readonly<Record<string, string>>;
  /** Nanoseconds since 1970. */
  readonly createdAt: bigint;
}

export function writeRecord(folder: string, record: ContainerRecord): void {
  writeStateFile(
    folder,
    'state.json',
    specToJson({ version: recordVersion, ...record, createdAt: String(record.createdAt) }),
  );
}

/** undefined when the folder holds none (a creation that was cut off). Throws RuntimeError for another version's. */
export function readRecord(folder: string): ContainerRecord | undefined {
  const text = readStateFile(folder, 'state.json');
  if (text === undefined) return undefined;
  const stored = JSON.parse(text) as Omit<ContainerRecord, 'createdAt'> & { version: number; createdAt: string };
  if (stored.version !== recordVersion)
    throw new RuntimeError('Internal', `${folder}/state.json is of version ${stored.version}, not ${recordVersion}`);
  return {
    id: stored.id,
    bundle: stored.bundle,
    rootfs: stored.rootfs,
    spec: checkSpec(stored.spec),
    folders: stored.folders,
    labels: stored.labels,
    createdAt: BigInt(stored.createdAt),
  };
}

export interface ProcessFiles {
  readonly pid: number;
  readonly pidStartTime: bigint;
  readonly startedAt: bigint;
  readonly exit?: { readonly exitCode: number; readonly signal: number; readonly exitedAt: bigint };
}

/** What is on record of a process; undefined before it was created. */
export function readProcessFiles(folder: string): ProcessFiles | undefined {
  const pidFile = readStateFile(folder, 'pid');
  if (pidFile === undefined) return undefined;
  const [pid, startTime] = pidFile.trim().split(' ');
  const exitFile = readStateFile(folder, 'exit')?.trim().split(' ');
  return {
    pid: Number(pid),
    pidStartTime: BigInt(startTime!),
    startedAt: BigInt(readStateFile(folder, 'started')?.trim() ?? 0),
    ...(exitFile === undefined
      ? {}
      : { exit: { exitCode: Number(exitFile[0]), signal: Number(exitFile[1]), exitedAt: BigInt(exitFile[2]!) } }),
  };
}

const idPattern = /^[\w+\-.]+$/;
const idLengthMax = 1024;

/** Throws RuntimeError for a name that is none, or that would be a path. */
export function checkId(id: string): void {
  if (id === '' || id.length > idLengthMax || !idPattern.test(id) || id === '.' || id === '..')
    throw new RuntimeError('InvalidArgument', 'invalid container ID format');
}
