/**
 * `wherry etcdutl recover DIR...`: after a lost quorum, compares the folders of the members that are left, says which copy has everything, and
 * what going on with it would mean; with `--yes` does it. Without, it changes nothing. Upstream has no such command: there it is
 * `--force-new-cluster` on a folder of the operator's choice.
 */
import { bestCopy, type Survey, survey } from '#etcd/recover/survey.ts';
import { forceNewCluster } from '#etcd/replica/force-new-cluster.ts';
import { openFolder } from '#etcd/replica/open.ts';
import { hostDisk } from '#host/disk.ts';
import { majorityOf } from '#raft/quorum.ts';
import { walFileBytesDefault } from '#storage/wal/wal.ts';
import { type CommandContext, CommandError, ExitCode } from './command.ts';
import { table } from './etcdctl/print.ts';
import { type FlagTable, type Parsed, parseFlags } from './flags.ts';

export const recoverFlags: FlagTable = {
  yes: { kind: 'bool', usage: 'do it; without, only say what would be done' },
};

export async function recover(args: readonly string[], { stdout }: CommandContext): Promise<number> {
  const flags: Parsed = parseFlags(args, recoverFlags);
  const folders = flags.operands;
  if (folders.length === 0) throw new CommandError(ExitCode.usage, 'recover requires at least one data folder');
  const surveys: Survey[] = [];
  for (const folder of folders) surveys.push(await survey(hostDisk, folder));
  const [first] = surveys;
  const stranger = surveys.find(({ clusterId }) => clusterId !== first!.clusterId);
  if (stranger !== undefined)
    throw new CommandError(
      ExitCode.failed,
      `${stranger.dataDir} belongs to cluster ${stranger.clusterId.toString(16)}, ${first!.dataDir} to ${first!.clusterId.toString(16)}`,
    );
  const best = bestCopy(surveys);
  stdout.write(
    table(
      ['', 'FOLDER', 'MEMBER', 'TERM', 'INDEX', 'COMMITTED', 'REVISION'],
      surveys.map((each) => row(each, best)),
    ),
  );
  const name = (id: bigint) => best.members.find((member) => member.id === id)?.name || id.toString(16);
  const say = (line: string) => stdout.write(`${line}\n`);
  say(`\n${best.dataDir} has everything that the others have.`);
  if (best.uncertain > 0)
    say(
      `Whether its last entries (${best.uncertain}) had reached a quorum cannot be known; they are kept, because whoever wrote them may have been told so.`,
    );
  const voters = best.members.filter(({ isLearner }) => !isLearner).map(({ id }) => id);
  const here = new Set(surveys.map(({ memberId }) => memberId).filter((id) => voters.includes(id)));
  const isQuorum = here.size >= majorityOf(voters.length);
  if (isQuorum)
    say(
      `${here.size} of ${voters.length} members are a quorum: start them as they are, and nothing has to be given up.`,
    );
  say(`Going on with it alone removes: ${best.removed.map(name).sort().join(', ') || 'nobody'}.`);
  if (!flags.bool('yes')) {
    say(`\nNothing has been changed. To do it:\n\n  wherry etcdutl recover --yes ${folders.join(' ')}`);
    return ExitCode.ok;
  }
  if (isQuorum && voters.length > 1)
    throw new CommandError(ExitCode.failed, 'the members that are left are a quorum: nothing has been changed');
  await using _ = await hostDisk.lock(`${best.dataDir}/member/lock`);
  const folder = await openFolder(hostDisk, best.dataDir, walFileBytesDefault);
  try {
    await forceNewCluster(folder);
  } finally {
    await folder.wal[Symbol.asyncDispose]();
  }
  const own = best.members.find(({ id }) => id === best.memberId);
  say(`\n${best.dataDir} is now a cluster of one. What comes next:\n`);
  say(`  1. start ${own?.name || 'the member'} with the flags it always had`);
  say('  2. for each other member, one after the other:');
  say('       empty its data folder');
  say('       wherry etcdctl member add NAME --peer-urls URL');
  say('       start it with --initial-cluster-state existing');
  return ExitCode.ok;
}

function row(each: Survey, best: Survey): string[] {
  const { dataDir, memberId, members, lastTerm, lastIndex, commitIndex, revision } = each;
  const name = members.find(({ id }) => id === memberId)?.name || memberId.toString(16);
  const numbers = [lastTerm, lastIndex, commitIndex, revision].map(String);
  return [each === best ? '*' : '', dataDir, name, ...numbers];
}
