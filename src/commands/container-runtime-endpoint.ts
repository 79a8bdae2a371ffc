/** The flag that puts somebody else's container runtime in the place of ours: `up` and `down` take it, named as the kubelet's. */
import { parseTarget } from '#transport/dial.ts';
import { CommandError, ExitCode } from './command.ts';
import type { FlagSpec, Parsed } from './flags.ts';

const name = 'container-runtime-endpoint';

export const runtimeEndpointFlag: Readonly<Record<string, FlagSpec>> = {
  [name]: {
    kind: 'string',
    usage: "use somebody's container runtime (CRI) instead of ours: unix:///run/containerd/containerd.sock",
  },
};

/** @throws CommandError usage, naming the operand */
export function runtimeEndpointOf(parsed: Parsed): string | undefined {
  const endpoint = parsed.string(name);
  if (endpoint === undefined) return undefined;
  try {
    parseTarget(endpoint);
    return endpoint;
  } catch (error) {
    throw new CommandError(ExitCode.usage, `--${name}: ${(error as Error).message}`);
  }
}
