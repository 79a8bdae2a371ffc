/**
 * The commands of raft's interaction traces and what they print: those of etcd-io/raft's `rafttest`. `docs/raft.md` lists them. What a
 * group does is in `interaction-group.ts`.
 */
import { ConfChange, ConfChangeTransition, ConfChangeV2, type Message, MessageType } from '#api-etcd/gen/raft.ts';
import { isVoter } from '#raft/configuration.ts';
import type { RaftOptions } from '#raft/options.ts';
import { describeProgress } from '#raft/progress.ts';
import type { TraceStep } from '../trace.ts';
import { describeMessage, parseChanges } from './describe.ts';
import { argument, type InteractionGroup } from './interaction-group.ts';
import type { TraceMember } from './trace-member.ts';

type Command = (group: InteractionGroup, step: TraceStep) => void;

const commands: Readonly<Record<string, Command>> = {
  _breakpoint: () => {},
  'add-nodes': (group, { arguments: [count, ...rest] }) => group.addMembers(Number(count!.key), rest),
  campaign: (group, step) => group.first(step).node.campaign(),
  compact: (group, step) => {
    const member = group.first(step);
    const error = member.storage.compact(Number(step.arguments[1]!.key));
    if (error !== undefined) throw error;
    group.printLog(member);
  },
  'deliver-msgs': (group, { arguments: words }) => {
    const typeName = argument(words, 'type');
    const type = typeName === undefined ? undefined : MessageType[typeName as keyof typeof MessageType];
    let count = 0;
    for (const { key, values } of words)
      if (values.length === 0) count += group.deliver(BigInt(key), type, false);
      else if (key === 'drop') for (const id of values) count += group.deliver(BigInt(id), type, true);
    if (count === 0) group.output.write('no messages\n');
  },
  'process-ready': (group, step) => group.each(step, 'handling Ready', (member) => group.processReady(member)),
  'process-append-thread': (group, step) =>
    group.each(step, 'processing append thread', (member) => group.processThread(member, 'append')),
  'process-apply-thread': (group, step) =>
    group.each(step, 'processing apply thread', (member) => group.processThread(member, 'apply')),
  'log-level': (group, { arguments: words }) => group.output.setLevel(words[0]!.key),
  'raft-log': (group, step) => group.printLog(group.first(step)),
  'raft-state': (group) => {
    for (const { node } of group.members) {
      const { id, state, configuration, term, leader } = node.status();
      const voter = isVoter(configuration, id) ? '(Voter)' : '(Non-Voter)';
      group.output.write(`${id}: ${state} ${voter} Term:${term} Lead:${leader}\n`);
    }
  },
  'set-randomized-election-timeout': (group, step) => {
    group.first(step).node.raft.randomizedElectionTimeout = Number(argument(step.arguments, 'timeout'));
  },
  stabilize: (group, step) =>
    group.output.withLevel(argument(step.arguments, 'log-level'), () => group.stabilize(group.named(step))),
  status: (group, step) => {
    const { node } = group.first(step);
    if (node.state !== 'StateLeader') return;
    for (const [id, progress] of node.raft.tracker.members)
      group.output.write(`${id}: ${describeProgress(progress)}\n`);
  },
  'tick-election': (group, step) => tick(group.first(step), (options) => options.electionTicks),
  'tick-heartbeat': (group, step) => tick(group.first(step), (options) => options.heartbeatTicks),
  'transfer-leadership': (group, { arguments: words }) => {
    const source = group.member(BigInt(argument(words, 'from')!));
    source.node.transferLeader(BigInt(argument(words, 'to')!));
  },
  'forget-leader': (group, step) => group.first(step).node.forgetLeader(),
  'send-snapshot': (group, step) => {
    const [source, target] = group.named(step);
    const { node, storage } = source!;
    const message: Message = {
      ...emptyMessage,
      type: MessageType.MsgSnap,
      term: node.term,
      from: node.id,
      to: target!.node.id,
      snapshot: storage.snapshot(),
    };
    group.messages.push(message);
    group.output.write(describeMessage(message));
  },
  propose: (group, step) => {
    const error = group.first(step).node.propose(Buffer.from(step.arguments[1]!.key));
    if (error !== undefined) throw error;
  },
  'propose-conf-change': (group, step) => {
    const changes = parseChanges(step.input);
    const single = argument(step.arguments, 'v1') === 'true';
    const change = single
      ? ConfChange.create(changes[0]!)
      : ConfChangeV2.create({ transition: transitionOf(argument(step.arguments, 'transition')), changes });
    const error = group.first(step).node.proposeConfChange(change);
    if (error !== undefined) throw error;
  },
  'report-unreachable': (group, step) => {
    const [reporter, reported] = group.named(step);
    reporter!.node.reportUnreachable(reported!.node.id);
  },
  // The rest is ours: upstream's traces do not need it.
  'read-index': (group, step) => group.first(step).node.readIndex(Buffer.from(step.arguments[1]!.key)),
  'report-snapshot': (group, step) => {
    const [reporter, reported] = group.named(step);
    reporter!.node.reportSnapshot(reported!.node.id, argument(step.arguments, 'status') !== 'failed');
  },
  restart: (group, step) => group.restart(group.first(step)),
};

const emptyMessage: Message = {
  type: 0,
  to: 0n,
  from: 0n,
  term: 0,
  logTerm: 0,
  index: 0,
  entries: [],
  commit: 0,
  snapshot: undefined,
  reject: false,
  rejectHint: 0,
  context: undefined,
  vote: 0n,
  responses: [],
};

function tick({ node, options }: TraceMember, ticksOf: (options: RaftOptions) => number): void {
  for (let i = ticksOf(options); i > 0; i--) node.tick();
}

function transitionOf(name: string | undefined): ConfChangeTransition {
  switch (name) {
    case undefined:
    case 'auto':
      return ConfChangeTransition.ConfChangeTransitionAuto;
    case 'implicit':
      return ConfChangeTransition.ConfChangeTransitionJointImplicit;
    case 'explicit':
      return ConfChangeTransition.ConfChangeTransitionJointExplicit;
    default:
      throw new Error(`unknown transition ${name}`);
  }
}

/** Runs one command on the group and returns what it printed. */
export function runInteraction(group: InteractionGroup, step: TraceStep): string {
  let problem = '';
  try {
    const command = commands[step.command];
    if (command === undefined) throw new Error('unknown command');
    command(group, step);
  } catch (error) {
    problem = (error as Error).message;
  }
  const text = group.output.take() + problem;
  return text === '' ? 'ok' : text;
}
