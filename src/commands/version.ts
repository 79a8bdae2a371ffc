/** `wherry version`: our version, and the Kubernetes version whose API we serve. */
import packageJson from '../../package.json' with { type: 'json' };
import type { Command } from './command.ts';

/** The Kubernetes release whose API is served. */
export const kubernetesVersion = 'v1.36.3';

export const version: Command = async (_args, { stdout }) => {
  stdout.write(`${kubernetesVersion}+wherry.${packageJson.version}\n`);
  return 0;
};
