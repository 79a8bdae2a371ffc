/** `etcdctl endpoint`, `alarm`, `defrag`, `snapshot save`, `move-leader`. */
import { isEtcdError } from '#api-etcd/errors.ts';
import {
  type AlarmMember,
  AlarmRequest,
  AlarmRequest_AlarmAction,
  AlarmResponse,
  Cluster,
  HashKVRequest,
  Maintenance,
  type StatusResponse,
} from '#api-etcd/gen/rpc.ts';
import { alarmName } from '#etcd/maintenance/service.ts';
import type { CallOptions, Channel } from '#rpc/call.ts';
import { RpcError } from '#wire/grpc/status.ts';
import { fields, goJson, headerFields, headerJson, humanBytes, omitZero, table } from './print.ts';
import { printAnswer } from './print-answer.ts';
import { saveSnapshot } from './save-snapshot.ts';
import { EtcdctlExit, leaseId, type Session, type Verb, wrong } from './session.ts';

const hexId = (id: bigint) => id.toString(16);

/** Asks every endpoint named, one after the other. */
async function each<T>(
  session: Session,
  ask: (at: Session) => Promise<T>,
): Promise<{ readonly endpoint: string; readonly answer: T }[]> {
  const answers: { endpoint: string; answer: T }[] = [];
  for (const endpoint of await endpointsOf(session))
    answers.push({ endpoint, answer: await ask(session.at(endpoint)) });
  return answers;
}

const cluster = { kind: 'bool', usage: 'use all endpoints from the cluster member list' } as const;

/** Those that were named, or those of all members. */
async function endpointsOf(session: Session): Promise<readonly string[]> {
  const { channel, flags, call, endpoints } = session;
  if (!flags.bool('cluster')) return endpoints;
  try {
    const { members } = await channel.unary(Cluster.methods.memberList, { linearizable: true }, call);
    return members.flatMap(({ clientURLs }) => clientURLs);
  } catch (error) {
    throw wrong(
      `failed to fetch endpoints from etcd cluster member list: ${(error as Error).message}`,
      EtcdctlExit.error,
    );
  }
}

export const endpointVerbs: Readonly<Record<string, Verb>> = {
  health: {
    flags: { cluster },
    async run(session) {
      const { format, print } = session;
      const answers = await each(session, async ({ channel, client, call }) => {
        const start = performance.now();
        const problem = await client.range({ key: Buffer.from('health') }, call).then(
          () => undefined,
          // Not permitted is answered by a quorum, too.
          (error: unknown) => (isEtcdError(error, 'permissionDenied') ? undefined : RpcError.from(error).message),
        );
        const took = goDuration(performance.now() - start);
        return { problem: problem ?? (await alarmProblem(channel, call)), took };
      });
      const healthy = answers.every(({ answer }) => answer.problem === undefined);
      if (format === 'json')
        print(
          `${goJson(answers.map(({ endpoint, answer: { problem, took } }) => ({ endpoint, health: problem === undefined, took, error: problem })))}\n`,
        );
      else if (format === 'table')
        print(
          table(
            ['ENDPOINT', 'HEALTH', 'TOOK', 'ERROR'],
            answers.map(({ endpoint, answer: { problem, took } }) => [
              endpoint,
              String(problem === undefined),
              took,
              problem ?? '',
            ]),
          ),
        );
      else
        for (const { endpoint, answer } of answers)
          if (answer.problem === undefined)
            print(`${endpoint} is healthy: successfully committed proposal: took = ${answer.took}\n`);
          else session.context.stderr.write(`${endpoint} is unhealthy: failed to commit proposal: ${answer.problem}\n`);
      if (!healthy) throw wrong('unhealthy cluster', EtcdctlExit.error);
    },
  },
  status: {
    flags: { cluster },
    async run(session) {
      const { format, print, context } = session;
      let failed = false;
      const asked = await each(session, async ({ client, call, endpoint }) => {
        try {
          return await client.status(call);
        } catch (error) {
          failed = true;
          const { message } = RpcError.from(error);
          context.stderr.write(`Failed to get the status of endpoint ${endpoint} (${message})\n`);
          return undefined;
        }
      });
      const answers = asked.flatMap(({ endpoint, answer }) => (answer === undefined ? [] : [{ endpoint, answer }]));
      if (format === 'json')
        print(
          `${goJson(answers.map(({ endpoint, answer }) => ({ Endpoint: endpoint, Status: statusJson(answer) })))}\n`,
        );
      else if (format === 'table')
        print(
          table(
            statusHeadings,
            answers.map(({ endpoint, answer }) => statusRow(endpoint, answer)),
          ),
        );
      else if (format === 'fields')
        for (const { endpoint, answer } of answers) print(`${statusFields(endpoint, answer)}\n`);
      else for (const { endpoint, answer } of answers) print(`${statusRow(endpoint, answer).join(', ')}\n`);
      if (failed) throw wrong('', EtcdctlExit.error);
    },
  },
  hashkv: {
    flags: {
      cluster,
      rev: { kind: 'string', usage: 'maximum revision to hash (default: latest revision)', default: '0' },
    },
    async run(session) {
      const { format, print, flags } = session;
      const request = HashKVRequest.create({ revision: Number(flags.string('rev')) });
      const answers = await each(session, ({ channel, call }) =>
        channel.unary(Maintenance.methods.hashKV, request, call),
      );
      if (format === 'json')
        print(
          `${goJson(answers.map(({ endpoint, answer: { header, hash, compactRevision } }) => ({ Endpoint: endpoint, HashKV: { header: headerJson(header), ...omitZero({ hash, compact_revision: compactRevision }) } })))}\n`,
        );
      else if (format === 'table')
        print(
          table(
            ['ENDPOINT', 'HASH'],
            answers.map(({ endpoint, answer }) => [endpoint, String(answer.hash)]),
          ),
        );
      else for (const { endpoint, answer } of answers) print(`${endpoint}, ${answer.hash}\n`);
    },
  },
};

/** A member with an alarm is not healthy. */
async function alarmProblem(channel: Channel, call: CallOptions): Promise<string | undefined> {
  try {
    const { alarms } = await channel.unary(Maintenance.methods.alarm, AlarmRequest.create(), call);
    return alarms.length === 0
      ? undefined
      : `Active Alarm(s): ${alarms.map(({ alarm }) => `${alarmName(alarm)} `).join('')}`;
  } catch {
    return 'Unable to fetch the alarm list';
  }
}

const statusHeadings = [
  'ENDPOINT',
  'ID',
  'VERSION',
  'DB SIZE',
  'IS LEADER',
  'IS LEARNER',
  'RAFT TERM',
  'RAFT INDEX',
  'RAFT APPLIED INDEX',
  'ERRORS',
];

function statusRow(endpoint: string, status: StatusResponse): string[] {
  const { header, version, dbSize, leader, isLearner, raftTerm, raftIndex, raftAppliedIndex, errors } = status;
  return [
    endpoint,
    hexId(header!.memberId),
    version,
    humanBytes(dbSize),
    String(leader === header!.memberId),
    String(isLearner),
    String(raftTerm),
    String(raftIndex),
    String(raftAppliedIndex),
    errors.join(', '),
  ];
}

function statusJson(status: StatusResponse) {
  const { header, version, dbSize, leader, raftIndex, raftTerm, raftAppliedIndex, errors, dbSizeInUse, isLearner } =
    status;
  return {
    header: headerJson(header),
    ...omitZero({ version, dbSize, leader, raftIndex, raftTerm, raftAppliedIndex, errors, dbSizeInUse, isLearner }),
  };
}

function statusFields(endpoint: string, status: StatusResponse): string {
  const { header, version, dbSize, leader, isLearner, raftIndex, raftTerm, raftAppliedIndex, errors } = status;
  return (
    headerFields(header) +
    fields([
      ['Version', JSON.stringify(version)],
      ['DBSize', dbSize],
      ['Leader', leader],
      ['IsLearner', isLearner],
      ['RaftIndex', raftIndex],
      ['RaftTerm', raftTerm],
      ['RaftAppliedIndex', raftAppliedIndex],
      ['Errors', `[${errors.map((error) => JSON.stringify(error)).join(' ')}]`],
      ['Endpoint', JSON.stringify(endpoint)],
    ])
  );
}

export const alarmVerbs: Readonly<Record<string, Verb>> = {
  list: {
    async run(session) {
      const { channel, call } = session;
      printAlarms(session, await channel.unary(Maintenance.methods.alarm, AlarmRequest.create(), call));
    },
  },
  disarm: {
    async run(session) {
      const { channel, call } = session;
      const { header, alarms } = await channel.unary(Maintenance.methods.alarm, AlarmRequest.create(), call);
      const disarmed: AlarmMember[] = [];
      for (const alarm of alarms) {
        const request = AlarmRequest.create({ ...alarm, action: AlarmRequest_AlarmAction.DEACTIVATE });
        disarmed.push(...(await channel.unary(Maintenance.methods.alarm, request, call)).alarms);
      }
      printAlarms(session, AlarmResponse.create({ header, alarms: disarmed }));
    },
  },
};

function printAlarms(session: Session, answer: AlarmResponse): void {
  printAnswer(session, AlarmResponse, answer, {
    simple: answer.alarms.map(alarmLine).join(''),
    fields: answer.alarms
      .map(
        ({ memberID, alarm }) =>
          `${fields([
            ['MemberID', memberID],
            ['AlarmType', alarmName(alarm)],
          ])}\n`,
      )
      .join(''),
  });
}

function alarmLine({ memberID, alarm }: AlarmMember): string {
  return `memberID:${memberID} alarm:${alarmName(alarm)} \n`;
}

export const defrag: Verb = {
  flags: { cluster },
  async run(session) {
    for (const endpoint of await endpointsOf(session)) {
      const { channel } = session.at(endpoint);
      // It may take long, on servers that rewrite their file.
      await channel.unary(Maintenance.methods.defragment, {});
      session.print(`Finished defragmenting etcd member[${endpoint}]\n`);
    }
  },
};

export const moveLeader: Verb = {
  async run(session) {
    const { args, call, endpoints, print } = session;
    if (args.length !== 1) throw wrong('move-leader command needs 1 argument');
    const targetID = BigInt.asUintN(64, leaseId(args[0]!));
    let leader = 0n;
    let its: Session | undefined;
    for (const endpoint of endpoints) {
      const at = session.at(endpoint);
      const { leader: id, header } = await at.client.status(call);
      leader = id;
      if (header!.memberId !== id) continue;
      its = at;
      break;
    }
    if (its === undefined) throw wrong(`no leader endpoint given at [${endpoints.join(' ')}]`);
    await its.channel.unary(Maintenance.methods.moveLeader, { targetID }, call);
    print(`Leadership transferred from ${hexId(leader)} to ${hexId(targetID)}\n`);
  },
};

export const snapshotVerbs: Readonly<Record<string, Verb>> = {
  save: {
    async run({ channel, args, print }) {
      const [path] = args;
      if (path === undefined || args.length > 1) throw wrong('snapshot save expects one argument');
      await saveSnapshot(channel, `${path}.part`, async () => path);
      print(`Snapshot saved at ${path}\n`);
    },
  },
};

/** As Go prints short times. */
function goDuration(ms: number): string {
  return ms >= 1000 ? `${(ms / 1000).toFixed(9).replace(/0+$/, '')}s` : `${ms.toFixed(6).replace(/\.?0+$/, '')}ms`;
}
