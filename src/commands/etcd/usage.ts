/** What `wherry etcd --help` says. */
import { etcdFlags } from './flags.ts';

export function usage(): string {
  const lines = Object.entries(etcdFlags)
    .filter(([, { instead }]) => instead?.kind !== 'older name')
    .map(([name, { default: standard, instead }]) => {
      const flag = `  --${name} '${standard}'`;
      return instead === undefined || instead.kind === 'older name'
        ? flag
        : `${flag.padEnd(60)} (${instead.kind}: ${instead.why})`;
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
`;
}
