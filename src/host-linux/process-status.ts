/** Facts about processes from procfs. Nothing here blocks. proc_pid_status(5), proc_pid_stat(5). */
import { existsSync, readFileSync } from 'node:fs';

/** Capabilities we hold and so can give to others, as bits. */
export function ownCapabilities(): bigint {
  const line = /^CapPrm:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return BigInt(`0x${line ?? '0'}`);
}

/** The adjustment this process runs under; without CAP_SYS_RESOURCE nothing it starts may go below. proc_pid_oom_score_adj(5) */
export function ownOomScoreAdj(): number {
  return Number(readFileSync('/proc/self/oom_score_adj', 'utf8'));
}

/** Whether the kernel can filter system calls. */
export function kernelHasSeccomp(): boolean {
  return existsSync('/proc/sys/kernel/seccomp');
}

export interface ProcessStat {
  /** One letter: R, S, D, T, Z, X ... */
  readonly state: string;
  /** Clock ticks since boot: with the pid it names one process for ever. */
  readonly startTime: bigint;
}

/** undefined when there is no such process. A zombie counts as one. */
export function processStat(pid: number): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
  // The second field is a name in parentheses that may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0]!, startTime: BigInt(fields[19]!) };
}
