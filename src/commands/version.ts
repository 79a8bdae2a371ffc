/** `wherry version`: our version, and the Kubernetes version whose API we serve. */
import packageJson from '../../package.json' with { type: 'json' };
import type { Command } from './command.ts';

/** The Kubernetes release whose API is served. */
export const kubernetesVersion = 'v1.36.3';

/** What the cluster calls itself. */
export const fullVersion = `${kubernetesVersion}+wherry.${packageJson.version}`;

export const version: Command = async (_args, { stdout }) => {
  stdout.write(`${fullVersion}\n`);
  return 0;
};
