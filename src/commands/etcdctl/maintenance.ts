/** `etcdctl endpoint`, `member list`, `alarm`, `defrag`, `snapshot save`, `move-leader`. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import {
  type AlarmMember,
  AlarmRequest,
  AlarmRequest_AlarmAction,
  Cluster,
  HashKVRequest,
  Maintenance,
  type StatusResponse,
} from '#api-etcd/gen/rpc.ts';
import { alarmName } from '#etcd/maintenance/service.ts';
import { RpcError } from '#wire/grpc/status.ts';
import { fields, goJson, headerFields, headerJson, humanBytes, omitZero, table } from './print.ts';
import { EtcdctlExit, leaseId, type Session, type Verb, wrong } from './session.ts';

const hexId = (id: bigint) => id.toString(16);

/** Asks every endpoint named, one after the other. */
async function each<T>(
  session: Session,
  ask: (at: Session) => Promise<T>,
): Promise<{ readonly endpoint: string; readonly answer: T }[]> {
  const answers: { endpoint: string; answer: T }[] = [];
  for (const endpoint of session.endpoints) answers.push({ endpoint, answer: await ask(session.at(endpoint)) });
  return answers;
}

export const endpointVerbs: Readonly<Record<string, Verb>> = {
  health: {
    async run(session) {
      const { format, print } = session;
      const answers = await each(session, async ({ client, call }) => {
        const start = performance.now();
        const problem = await client.range({ key: Buffer.from('health') }, call).then(
          () => undefined,
          (error: unknown) => RpcError.from(error).message,
        );
        return { problem, took: goDuration(performance.now() - start) };
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
    async run(session) {
      const { format, print } = session;
      const answers = await each(session, ({ client, call }) => client.status(call));
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
    },
  },
  hashkv: {
    flags: { rev: { kind: 'string', usage: 'maximum revision to hash (default: latest revision)', default: '0' } },
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

export const memberVerbs: Readonly<Record<string, Verb>> = {
  list: {
    async run({ channel, call, format, print }) {
      const { header, members } = await channel.unary(Cluster.methods.memberList, { linearizable: true }, call);
      if (format === 'json') {
        const plain = members.map(({ id, name, peerURLs, clientURLs, isLearner }) =>
          omitZero({ ID: id, name, peerURLs, clientURLs, isLearner }),
        );
        print(`${goJson({ header: headerJson(header), members: plain })}\n`);
        return;
      }
      if (format === 'fields') {
        print(headerFields(header));
        for (const { id, name, peerURLs, clientURLs, isLearner } of members)
          print(
            `${fields([
              ['ID', id],
              ['Name', JSON.stringify(name)],
              ...peerURLs.map((url) => ['PeerURL', JSON.stringify(url)] as const),
              ...clientURLs.map((url) => ['ClientURL', JSON.stringify(url)] as const),
              ['IsLearner', isLearner],
            ])}\n`,
          );
        return;
      }
      const rows = members.map(({ id, name, peerURLs, clientURLs, isLearner }) => [
        hexId(id),
        name === '' ? 'unstarted' : 'started',
        name,
        peerURLs.join(','),
        clientURLs.join(','),
        String(isLearner),
      ]);
      if (format === 'table') print(table(['ID', 'STATUS', 'NAME', 'PEER ADDRS', 'CLIENT ADDRS', 'IS LEARNER'], rows));
      else for (const row of rows) print(`${row.join(', ')}\n`);
    },
  },
};

export const alarmVerbs: Readonly<Record<string, Verb>> = {
  list: {
    async run({ channel, call, print }) {
      const { alarms } = await channel.unary(Maintenance.methods.alarm, AlarmRequest.create(), call);
      print(alarms.map(alarmLine).join(''));
    },
  },
  disarm: {
    async run({ channel, call, print }) {
      const { alarms } = await channel.unary(Maintenance.methods.alarm, AlarmRequest.create(), call);
      for (const alarm of alarms) {
        const request = AlarmRequest.create({ ...alarm, action: AlarmRequest_AlarmAction.DEACTIVATE });
        print((await channel.unary(Maintenance.methods.alarm, request, call)).alarms.map(alarmLine).join(''));
      }
    },
  },
};

function alarmLine({ memberID, alarm }: AlarmMember): string {
  return `memberID:${memberID} alarm:${alarmName(alarm)} \n`;
}

export const defrag: Verb = {
  async run(session) {
    for (const endpoint of session.endpoints) {
      const { channel } = session.at(endpoint);
      // It may take long, on servers that rewrite their file.
      await channel.unary(Maintenance.methods.defragment, {});
      session.print(`Finished defragmenting etcd member[${endpoint}]\n`);
    }
  },
};

export const moveLeader: Verb = {
  async run({ channel, client, args, call, print }) {
    if (args.length !== 1) throw wrong('move-leader command needs 1 argument');
    const targetID = BigInt.asUintN(64, leaseId(args[0]!));
    const { leader } = await client.status(call);
    await channel.unary(Maintenance.methods.moveLeader, { targetID }, call);
    print(`Leadership transferred from ${hexId(leader)} to ${hexId(targetID)}\n`);
  },
};

export const snapshotVerbs: Readonly<Record<string, Verb>> = {
  save: {
    async run({ channel, args, print }) {
      const [path] = args;
      if (path === undefined || args.length > 1) throw wrong('snapshot save expects one argument');
      const part = `${path}.part`;
      try {
        const file = createWriteStream(part, { mode: 0o600 });
        await once(file, 'open');
        await using call = channel.open(Maintenance.methods.snapshot);
        call.send({});
        call.closeSend();
        const hash = createHash('sha256');
        let held: Uint8Array | undefined;
        for await (const { blob } of call.messages) {
          if (held !== undefined) hash.update(held);
          held = blob;
          if (!file.write(blob)) await once(file, 'drain');
        }
        file.end();
        await once(file, 'close');
        // What came last is the digest of all before: it stays at the end of the file, as the tools expect it.
        if (held === undefined || Buffer.compare(hash.digest(), held) !== 0)
          throw wrong('the snapshot does not match its checksum', EtcdctlExit.error);
        await rename(part, path);
      } catch (error) {
        await rm(part, { force: true });
        throw error;
      }
      print(`Snapshot saved at ${path}\n`);
    },
  },
};

/** As Go prints short times. */
function goDuration(ms: number): string {
  return ms >= 1000 ? `${(ms / 1000).toFixed(9).replace(/0+$/, '')}s` : `${ms.toFixed(6).replace(/\.?0+$/, '')}ms`;
}
