/** What this machine is, as its node will say. os-release(5), machine-id(5), proc(5). */
import { readFileSync } from 'node:fs';
import { arch, availableParallelism, release, totalmem } from 'node:os';
import { fileSystemUsage } from '#host/disk-usage.ts';
import type { Machine } from '#kubelet/node-status.ts';

const goArchitectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** @param dataDir on the file system whose room counts */
export async function thisMachine(dataDir: string): Promise<Machine> {
  const { capacityBytes } = await fileSystemUsage(dataDir);
  return {
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    ephemeralStorageBytes: capacityBytes,
    architecture: goArchitectures[arch()] ?? arch(),
    kernelVersion: release(),
    osImage: osName(),
    machineId: text('/etc/machine-id'),
    systemUuid: text('/sys/class/dmi/id/product_uuid').toLowerCase(),
    bootId: text('/proc/sys/kernel/random/boot_id'),
  };
}

function osName(): string {
  return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(text('/etc/os-release'))?.[1] ?? 'Linux';
}

/** Empty for what may not be read. */
function text(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}
