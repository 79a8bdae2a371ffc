/** `--initial-cluster`, as `etcd` and `etcdutl snapshot restore` take it. */
import type { InitialMember } from '#etcd/identity.ts';
import { CommandError, ExitCode } from './command.ts';

/** `name=url,name=url`: a name may come again, with another URL. @throws CommandError */
export function parseInitialCluster(text: string): InitialMember[] {
  const urls = new Map<string, string[]>();
  for (const part of text.split(',')) {
    const at = part.indexOf('=');
    if (at <= 0) throw new CommandError(ExitCode.failed, `couldn't parse the initial cluster ${JSON.stringify(part)}`);
    const name = part.slice(0, at);
    urls.set(name, [...(urls.get(name) ?? []), part.slice(at + 1)]);
  }
  return [...urls].map(([name, peerUrls]) => ({ name, peerUrls }));
}
