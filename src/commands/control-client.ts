/** Asks a running cluster over its control socket, on behalf of a command. */
import { askControl, ControlError } from '#cluster/control-socket.ts';
import { systemClock } from '#host/clock.ts';
import { CommandError, ExitCode } from './command.ts';

/** The answer's JSON. @throws CommandError what the cluster says went wrong */
export async function ask(socket: string, method: string, target: string): Promise<unknown> {
  try {
    return await askControl(socket, method, target, { clock: systemClock });
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    throw new CommandError(ExitCode.failed, error.message, { cause: error });
  }
}
