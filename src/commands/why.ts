/** `wherry why KIND/NAME`: who wrote an object lately and what made them, and for a pod what the scheduler thought of each node. */
import { resources } from '#api-kube/resources.ts';
import type { ClusterLayout } from '#cluster/control-planes/layout.ts';
import { planePaths } from '#cluster/control-planes/plane-paths.ts';
import { livePlanes } from '#cluster/control-planes/processes.ts';
import { askControl } from '#cluster/control-socket.ts';
import { type ClusterPaths, clusterPaths, defaultClusterName } from '#cluster/paths.ts';
import { systemClock } from '#host/clock.ts';
import type { Verdict } from '#kube-scheduler/verdicts.ts';
import { layoutOf } from './cluster-layout.ts';
import { type Command, CommandError, ExitCode } from './command.ts';
import { ask } from './control-client.ts';
import { pathEnvironment } from './environment.ts';
import { type FlagTable, flagHelp, parseFlags } from './flags.ts';
import { requireRunning } from './running.ts';

const flags: FlagTable = {
  name: { kind: 'string', default: defaultClusterName, usage: 'name of the cluster' },
  namespace: { kind: 'string', short: 'n', default: 'default', usage: 'namespace of the object' },
  'data-dir': { kind: 'string', usage: 'folder of everything that is kept' },
  output: { kind: 'string', short: 'o', default: 'text', usage: 'text or json' },
  help: { kind: 'bool', short: 'h', usage: 'this text' },
};

interface Write {
  readonly verb: string;
  readonly user: string;
  readonly cause?: string;
  readonly resourceVersion: string;
  readonly atMs: number;
}

interface Answer {
  readonly writes: readonly Write[];
  readonly state?: readonly string[];
  readonly scheduling?: Verdict;
}

export const why: Command = async (args, { env, stdout }) => {
  const parsed = parseFlags(args, flags);
  if (parsed.bool('help')) {
    stdout.write(`Usage: wherry why KIND/NAME [FLAG...]\n\n${flagHelp(flags)}`);
    return ExitCode.ok;
  }
  const [first = '', second] = parsed.operands;
  const [kind = '', objectName = ''] = second === undefined ? first.split('/') : [first, second];
  if (kind === '' || objectName === '') throw new CommandError(ExitCode.usage, 'why needs an object: KIND/NAME');
  const resource = resources.find(
    (row) => [row.resource, row.singular, ...(row.shortNames ?? [])].includes(kind.toLowerCase()) && row.stored,
  );
  if (resource === undefined) throw new CommandError(ExitCode.notFound, `there is no kind ${JSON.stringify(kind)}`);
  const name = parsed.string('name')!;
  const paths = clusterPaths(name, pathEnvironment(env), parsed.string('data-dir'));
  const layout = await layoutOf(paths);
  const namespace = resource.namespaced ? parsed.string('namespace')! : '';
  const qualified = resource.group === '' ? resource.resource : `${resource.resource}.${resource.group}`;
  const path = ['why', qualified, namespace, objectName].map(encodeURIComponent).join('/');
  const answer =
    layout === undefined
      ? ((await ask(requireRunning(name, env, parsed.string('data-dir')).running.socket, 'GET', `/${path}`)) as Answer)
      : await askAll(paths, layout, name, `/${path}`);
  if (parsed.string('output') === 'json') {
    stdout.write(`${JSON.stringify(answer, null, 2)}\n`);
    return ExitCode.ok;
  }
  if (answer.writes.length === 0 && answer.state === undefined)
    throw new CommandError(
      ExitCode.notFound,
      `nothing is known of ${resource.singular}/${objectName}${namespace && ` in ${namespace}`}`,
    );
  for (const line of answer.state ?? []) stdout.write(`${line}\n`);
  for (const line of schedulingLines(answer.scheduling)) stdout.write(`${line}\n`);
  stdout.write('written by, newest first:\n');
  for (const { atMs, verb, user, cause } of answer.writes)
    stdout.write(
      `  ${new Date(atMs).toISOString().slice(11, 23)}  ${verb.padEnd(7)} ${user}${cause ? `\n                because ${cause}` : ''}\n`,
    );
  return ExitCode.ok;
};

/** Each control plane knows the writes that went through it, and the one that schedules its verdicts: together they know all. */
async function askAll(paths: ClusterPaths, layout: ClusterLayout, name: string, target: string): Promise<Answer> {
  const live = await livePlanes(paths, layout);
  const answers = (
    await Promise.all(
      live.map((plane) =>
        askControl(planePaths(paths, plane.name).controlSocket, 'GET', target, {
          clock: systemClock,
          timeoutMs: askTimeoutMs,
        }).catch(() => undefined),
      ),
    )
  ).filter((answer) => answer !== undefined) as Answer[];
  if (answers.length === 0)
    throw new CommandError(ExitCode.notFound, `cluster ${name} is not running: start it with \`wherry up\``);
  const state = answers.find((answer) => answer.state !== undefined)?.state;
  // One that scheduled before may remember an older verdict.
  const verdicts = answers.flatMap((answer) => answer.scheduling ?? []).sort((a, b) => b.atMs - a.atMs);
  const [scheduling] = verdicts;
  const writes = answers.flatMap((answer) => answer.writes).sort((a, b) => b.atMs - a.atMs);
  return { writes, ...(state && { state }), ...(scheduling && { scheduling }) };
}

const askTimeoutMs = 3000;

/** Each node's verdict, as the scheduler's plugins gave it. */
function schedulingLines(verdict: Verdict | undefined): string[] {
  switch (verdict?.kind) {
    case 'Scheduled':
      return [`scheduled to ${verdict.node}`, ...verdict.scores.map(({ node, total }) => `  ${node}: score ${total}`)];
    case 'Unschedulable':
      return [
        `not scheduled after ${verdict.attempts} attempts, ${verdict.nodesTotal} nodes:`,
        ...verdict.rejections.map(({ node, plugin, reasons }) => `  ${node}: ${plugin}: ${reasons.join(', ')}`),
      ];
    case 'Error':
      return [`scheduling failed: ${verdict.message}`];
    default:
      return [];
  }
}
