/** How etcdctl ends: its exit codes, and failures that it tells in its own words. */
import type { CommandContext } from '../command.ts';

/** Upstream's exit codes. */
export const EtcdctlExit = {
  error: 1,
  badConnection: 2,
  invalidInput: 3,
  badFeature: 4,
  interrupted: 5,
  badArgs: 128,
} as const;

/** A failure that etcdctl tells in its own words. */
export class EtcdctlError extends Error {
  override readonly name = 'EtcdctlError';
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Arguments that are wrong, unless another code says what else is. */
export function wrong(message: string, exitCode: number = EtcdctlExit.badArgs): EtcdctlError {
  return new EtcdctlError(message, exitCode);
}

export async function readStdin({ stdin }: CommandContext): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
