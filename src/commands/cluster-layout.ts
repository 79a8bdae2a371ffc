/** The layout of a cluster of several control planes, for commands: one that cannot be read is said in a line, with its file. */
import { type ClusterLayout, LayoutError, readLayout } from '#cluster/control-planes/layout.ts';
import type { ClusterPaths } from '#cluster/paths.ts';
import { CommandError, ExitCode } from './command.ts';

/** @returns undefined: the cluster has one control plane, or is not there yet. @throws CommandError */
export async function layoutOf(paths: ClusterPaths): Promise<ClusterLayout | undefined> {
  try {
    return await readLayout(paths);
  } catch (error) {
    if (!(error instanceof LayoutError)) throw error;
    throw new CommandError(ExitCode.failed, error.message, { cause: error });
  }
}
