/** A monitor's plan: where it keeps state, which streams it holds, and the launch of its process (`native/src/monitor.c`). */

import { MonitorFlag, protocolVersion } from '#host-linux/helper/monitor-client.ts';
import { FieldWriter } from '#host-linux/helper/plan.ts';
import type { Stdio, StreamTarget } from '../runtime.ts';

export function monitorBytes(folder: string, terminal: boolean, stdio: Stdio, launch: Uint8Array): Uint8Array {
  let flags = 0;
  if (terminal) flags |= MonitorFlag.terminal;
  if (stdio.stdin === 'pipe') flags |= MonitorFlag.stdin;
  if (stdio.stdinOnce) flags |= MonitorFlag.stdinOnce;
  if (stdio.waitForAttach) flags |= MonitorFlag.waitForAttach;
  const fields = new FieldWriter().u32(protocolVersion).u32(flags).string(folder);
  fields
    .string(pathOf(stdio.stdin))
    .string(pathOf(stdio.stdout))
    .string(terminal ? '' : pathOf(stdio.stderr));
  fields.string(stdio.logPath ?? '');
  // The launch is the rest of the plan, not a field of it.
  return Buffer.concat([fields.finish(), launch]);
}

function pathOf(target: StreamTarget): string {
  return typeof target === 'object' ? target.path : '';
}
