/** `etcdctl help`, `etcdctl VERB --help`: what a verb takes and does, in the sections that upstream's help has. */
import { type FlagTable, flagOptions } from '../flags.ts';
import { globalFlags, type Verb } from './session.ts';

/** Of each verb: what stands behind it, and what it does. */
const told: Readonly<Record<string, readonly [usage: string, does: string]>> = {
  put: ['[options] <key> <value> (<value> can also be given from stdin)', 'writes a key'],
  get: ['[options] <key> [range_end]', 'reads a key, or a range of keys'],
  del: ['[options] <key> [range_end]', 'deletes a key, or a range of keys'],
  txn: ['[options]', 'does several requests as one, depending on compares'],
  watch: [
    '[options] [key or prefix] [range_end] [--] [exec-command arg1 arg2 ...]',
    'shows changes of keys as they happen, or runs a command for each',
  ],
  compaction: ['[options] <revision>', 'forgets the history before a revision'],
  'lease grant': ['<ttl>', 'makes a lease, of so many seconds'],
  'lease revoke': ['<leaseID>', 'ends a lease, and deletes its keys'],
  'lease timetolive': ['<leaseID> [options]', 'says how much time a lease has left'],
  'lease list': ['', 'lists the leases that there are'],
  'lease keep-alive': ['[options] <leaseID>', 'renews a lease, again and again'],
  'endpoint health': ['', 'says whether the endpoints serve'],
  'endpoint status': ['', 'says how the endpoints stand: version, size, leader, term, index'],
  'endpoint hashkv': ['', 'says the hash of what the endpoints hold'],
  'member add': ['<memberName> [options]', 'adds a member to the cluster'],
  'member remove': ['<memberID>', 'removes a member from the cluster'],
  'member update': ['<memberID> [options]', 'changes the peer addresses of a member'],
  'member promote': ['<memberID>', 'gives a learner its vote'],
  'member list': ['', 'lists the members of the cluster'],
  'alarm list': ['', 'lists the alarms that are raised'],
  'alarm disarm': ['', 'takes all alarms back'],
  defrag: ['', 'gives room that is not used back to the disk'],
  'snapshot save': ['<filename>', 'saves the state of a member in a file'],
  'backup run': ['[options] <folder>', 'keeps a backup of every change in a folder, until a signal'],
  'move-leader': ['<transferee-member-id>', 'hands the lead over to another member'],
  'auth enable': ['', 'turns authentication on'],
  'auth disable': ['', 'turns authentication off'],
  'auth status': ['', 'says whether authentication is on'],
  'user add': ['<user name or user:password> [options]', 'adds a user'],
  'user delete': ['<user name>', 'deletes a user'],
  'user get': ['<user name> [options]', 'shows a user'],
  'user list': ['', 'lists the users'],
  'user passwd': ['<user name> [options]', 'changes the password of a user'],
  'user grant-role': ['<user name> <role name>', 'gives a role to a user'],
  'user revoke-role': ['<user name> <role name>', 'takes a role from a user'],
  'role add': ['<role name>', 'adds a role'],
  'role delete': ['<role name>', 'deletes a role'],
  'role get': ['<role name>', 'shows a role'],
  'role list': ['', 'lists the roles'],
  'role grant-permission': [
    '[options] <role name> <permission type> <key> [endkey]',
    'lets a role read or write a key, or a range of keys',
  ],
  'role revoke-permission': ['<role name> <key> [endkey]', 'takes that back'],
  lock: [
    '<lockname> [exec-command arg1 arg2 ...]',
    'takes a lock and holds it, while a command runs or until a signal',
  ],
  elect: ['<election-name> [proposal]', 'stands for an election, or with --listen shows who is elected'],
  'make-mirror': ['[options] <destination>', 'copies keys to another cluster, and goes on with every change'],
  'check perf': ['[options]', 'checks how fast the cluster is'],
  'check datascale': ['[options]', 'checks how much memory the data of a workload takes'],
  'downgrade validate': ['<TARGET_VERSION>', 'says whether the cluster may go back to a version'],
  'downgrade enable': ['<TARGET_VERSION>', 'lets members of that version in'],
  'downgrade cancel': ['', 'takes that back'],
  doctor: ['[options]', 'looks at everything that can be wrong with a cluster, and says what to type next'],
  completion: ['<bash|zsh|fish|powershell>', 'prints a script that completes command lines in a shell'],
  version: ['', 'prints the version'],
};

/** Verbs that are told of in {@link told}: a test holds it beside those that there are. */
export const toldVerbs: readonly string[] = Object.keys(told);

/** @param path a verb, a group of verbs, or nothing for all of it */
export function helpOf(path: string, verbs: Readonly<Record<string, Verb>>): string {
  const verb = verbs[path];
  const command = ['etcdctl', path].filter((word) => word !== '').join(' ');
  if (verb === undefined) {
    const its = Object.keys(verbs).filter((name) => path === '' || name.startsWith(`${path} `));
    const usage = path === '' ? '[flags]' : '<subcommand> [flags]';
    const lines = its.map((name) => [path === '' ? name : name.slice(path.length + 1), told[name]![1]] as const);
    return sections({
      USAGE: [`${command} ${usage}`],
      COMMANDS: columns(lines),
      'GLOBAL OPTIONS': options(globalFlags),
    });
  }
  const [usage, does] = told[path]!;
  const own: FlagTable = {
    help: { short: 'h', kind: 'bool', usage: `help for ${path.split(' ').at(-1)}`, default: 'false' },
    ...verb.flags,
  };
  return sections({
    NAME: [`${path} - ${does}`],
    USAGE: [[command, usage, '[flags]'].filter((word) => word !== '').join(' ')],
    OPTIONS: options(own),
    'GLOBAL OPTIONS': options(globalFlags),
  });
}

const options = (table: FlagTable) => columns(flagOptions(table));

function sections(all: Readonly<Record<string, readonly string[]>>): string {
  return Object.entries(all)
    .map(([title, lines]) => `${title}:\n${lines.map((line) => `  ${line}\n`).join('')}`)
    .join('\n');
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `${left.padEnd(width + 2)}${right}`.trimEnd());
}
