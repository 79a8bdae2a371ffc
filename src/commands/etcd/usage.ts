/** What `wherry etcd --help` says. */
import { etcdFlags } from './flags.ts';
import { featureGates } from './gates.ts';

export function usage(): string {
  const lines = Object.entries(etcdFlags)
    .filter(([, { instead }]) => instead?.kind !== 'older name')
    .map(([name, { default: standard, instead }]) => {
      const flag = `  --${name} '${standard}'`;
      if (instead === undefined || instead.kind === 'older name') return flag;
      const what = instead.kind === 'gate' ? `the feature ${instead.of}` : `${instead.kind}: ${instead.why}`;
      return `${flag.padEnd(60)} (${what})`;
    });
  const gates = Object.entries(featureGates).map(([name, { default: standard, why }]) => {
    const gate = `  ${name}=${standard}`;
    return why === undefined ? gate : `${gate.padEnd(60)} (no effect: ${why})`;
  });
  return `Usage:

  etcd [flags]
    Start an etcd server.

  etcd --version
    Show the version of etcd.

  etcd -h | --help
    Show the help information about etcd.

  etcd --config-file
    Path to the server configuration file. Note that if a configuration file is provided, other command line flags and environment variables will be ignored.

Flags, with what they are when nothing is said:

${lines.join('\n')}

Features that --feature-gates NAME=true,NAME=false turns on and off:

${gates.join('\n')}
`;
}
