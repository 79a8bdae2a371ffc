/** `etcdctl member add|remove|update|promote|list`. */
import {
  Cluster,
  type Member,
  MemberAddRequest,
  MemberAddResponse,
  MemberListResponse,
  MemberPromoteResponse,
  MemberRemoveResponse,
  MemberUpdateResponse,
} from '#api-etcd/gen/rpc.ts';
import { consistencyFlag, consistencyOf } from './kv.ts';
import { fields, headerFields, table } from './print.ts';
import { notSupported, printAnswer, structJson } from './print-answer.ts';
import { type Session, type Verb, wrong } from './session.ts';

const { methods } = Cluster;
const hex = (id: bigint) => id.toString(16);
/** Go's %16x: to the right of sixteen places. */
const wideHex = (id: bigint) => hex(id).padStart(16);
const peerUrls = (whose: string) =>
  ({ kind: 'string', usage: `comma separated peer URLs for the ${whose} member.`, default: '' }) as const;

export const memberVerbs: Readonly<Record<string, Verb>> = {
  add: {
    flags: {
      'peer-urls': peerUrls('new'),
      learner: { kind: 'bool', usage: 'indicates if the new member is raft learner' },
    },
    async run(session) {
      const { args, flags, channel, call, format, print } = session;
      const [name, ...more] = args;
      if (name === undefined) throw wrong('member name not provided');
      if (more.length > 0) {
        const urls = args.filter((arg) => arg.toLowerCase().startsWith('http'));
        throw wrong(`too many arguments${urls.map((url) => `, did you mean --peer-urls=${url}`).join('')}`);
      }
      const urls = urlsOf(session);
      const request = MemberAddRequest.create({ peerURLs: urls, isLearner: flags.bool('learner') });
      const answer = await channel.unary(methods.memberAdd, request, call);
      const { id } = answer.member!;
      const simple = `Member ${wideHex(id)} added to cluster ${wideHex(answer.header!.clusterId)}\n`;
      printAnswer(session, MemberAddResponse, answer, { simple });
      if (format !== 'simple') return;
      const cluster = answer.members.flatMap((member) =>
        member.peerURLs.map((url) => `${member.id === id ? name : member.name}=${url}`),
      );
      print(`
ETCD_NAME=${JSON.stringify(name)}
ETCD_INITIAL_CLUSTER=${JSON.stringify(cluster.join(','))}
ETCD_INITIAL_ADVERTISE_PEER_URLS=${JSON.stringify(flags.string('peer-urls'))}
ETCD_INITIAL_CLUSTER_STATE="existing"
`);
    },
  },
  remove: {
    async run(session) {
      const id = memberId(session);
      const answer = await session.channel.unary(methods.memberRemove, { id }, session.call);
      const simple = `Member ${wideHex(id)} removed from cluster ${wideHex(answer.header!.clusterId)}\n`;
      printAnswer(session, MemberRemoveResponse, answer, { simple });
    },
  },
  update: {
    flags: { 'peer-urls': peerUrls('updated') },
    async run(session) {
      const id = memberId(session);
      const answer = await session.channel.unary(methods.memberUpdate, { id, peerURLs: urlsOf(session) }, session.call);
      const simple = `Member ${wideHex(id)} updated in cluster ${wideHex(answer.header!.clusterId)}\n`;
      printAnswer(session, MemberUpdateResponse, answer, { simple });
    },
  },
  promote: {
    async run(session) {
      const id = memberId(session);
      const answer = await session.channel.unary(methods.memberPromote, { id }, session.call);
      const simple = `Member ${wideHex(id)} promoted in cluster ${wideHex(answer.header!.clusterId)}\n`;
      printAnswer(session, MemberPromoteResponse, answer, { simple });
    },
  },
  list: {
    flags: { consistency: consistencyFlag },
    async run(session) {
      const { channel, call, flags } = session;
      const linearizable = consistencyOf(flags) === 'l';
      printMembers(session, await channel.unary(methods.memberList, { linearizable }, call));
    },
  },
};

function printMembers(session: Session, answer: MemberListResponse): void {
  const { format, print } = session;
  const { header, members } = answer;
  if (format === 'json') {
    print(`${session.hex ? hexJson(answer) : structJson(MemberListResponse.typeName, answer)}\n`);
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
  if (format === 'protobuf') {
    print(MemberListResponse.encode(answer).toString('latin1'));
    return;
  }
  const rows = members.map(rowOf);
  if (format === 'table') print(table(['ID', 'STATUS', 'NAME', 'PEER ADDRS', 'CLIENT ADDRS', 'IS LEARNER'], rows));
  else if (format === 'simple') for (const row of rows) print(`${row.join(', ')}\n`);
  else throw notSupported(format);
}

function rowOf({ id, name, peerURLs, clientURLs, isLearner }: Member): string[] {
  const status = name === '' ? 'unstarted' : 'started';
  return [hex(id), status, name, peerURLs.join(','), clientURLs.join(','), String(isLearner)];
}

/** With `--hex` ids are written as people know them. */
function hexJson({ header, members }: MemberListResponse): string {
  const list = members.map(
    ({ id, name, peerURLs, clientURLs }) =>
      `{"ID":"${hex(id)}","name":"${name}","peerURLs":${JSON.stringify(peerURLs)},"clientURLS":${JSON.stringify(clientURLs)}}`,
  );
  const { clusterId, memberId: id, raftTerm } = header!;
  const head = `"header":{"cluster_id":"${hex(clusterId)}","member_id":"${hex(id)}","raft_term":${raftTerm}}`;
  return `{${head}${list.length === 0 ? '' : `,"members":[${list.join(',')}]`}}`;
}

function urlsOf({ flags }: Session): string[] {
  const text = flags.string('peer-urls')!;
  if (text === '') throw wrong('member peer urls not provided');
  return text.split(',');
}

function memberId({ args }: Session): bigint {
  const [text] = args;
  if (text === undefined || args.length > 1) throw wrong('member ID is not provided');
  if (!/^[0-9a-fA-F]+$/.test(text)) throw badId(text, 'invalid syntax');
  const id = BigInt(`0x${text}`);
  if (id >= 2n ** 64n) throw badId(text, 'value out of range');
  return id;
}

function badId(text: string, problem: string) {
  return wrong(
    `bad member ID arg (strconv.ParseUint: parsing ${JSON.stringify(text)}: ${problem}), expecting ID in Hex`,
  );
}
