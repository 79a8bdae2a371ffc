/**
 * Asks a cluster for everything that the checks look at. All members at once, and each call has its limit: one that hangs costs a few of them, and
 * keeps nobody else waiting.
 */
import { AlarmRequest, Auth, Cluster, Maintenance } from '#api-etcd/gen/rpc.ts';
import { alarmName } from '#etcd/maintenance/service.ts';
import type { Clock } from '#std/clock.ts';
import { sleep } from '#std/clock.ts';
import type { Session } from '../session.ts';
import { ask, firstAnswer } from './ask.ts';
import { lookAtBackups } from './collect-backup.ts';
import { certificatesIn } from './collect-certificates.ts';
import { clocksOf } from './collect-clocks.ts';
import { firstLook, secondLook } from './collect-endpoint.ts';
import { hashesOf } from './collect-hashes.ts';
import type { Asked, CertificateFileFacts, EndpointFacts, Facts, MemberFacts } from './facts.ts';
import { hasQuorum } from './subjects.ts';
import { quoted } from './words.ts';

export interface CollectOptions {
  readonly clock: Clock;
  /** Between the two looks. */
  readonly intervalMs: number;
  /** Checks whose facts are not wanted. */
  readonly left: ReadonlySet<string>;
  readonly backupFolder: string | undefined;
}

/** @throws CommandError, EtcdctlError for a file that a flag names and cannot be read */
export async function collect(session: Session, options: CollectOptions): Promise<Facts> {
  const { clock, intervalMs, left, backupFolder } = options;
  const members = await membersBy(session.endpoints.map((url) => session.at(url)));
  const known = members.kind === 'answered' ? members.value : [];
  const endpoints = addressesOf(session, known).map(({ url, given }) => ({ given, session: session.at(url) }));
  const startMs = clock.monotonicMs();
  const [looks, peers, backup] = await Promise.all([
    Promise.all(endpoints.map(({ session: its, given }) => firstLook(its, given))),
    clocksOf(session, known),
    backupFolder === undefined ? undefined : lookAtBackups(backupFolder),
  ]);
  const answering = looks.filter(({ facts }) => facts.status.kind === 'answered');
  // Waiting for nobody would be in vain, and nothing would keep the process.
  if (answering.length > 0 && intervalMs > 0) await sleep(clock, intervalMs);
  const later: EndpointFacts[] = await Promise.all(looks.map(secondLook));
  const betweenMs = clock.monotonicMs() - startMs;
  const via = answering[0]?.session ?? session;
  // Both are questions to most members: where they do not answer a read, they do not answer these.
  const nobodyAsked =
    later.some(({ read }) => read.kind === 'denied') || hasQuorum({ endpoints: later }) ? undefined : notAsked;
  const [alarms, auth, hashes] = await Promise.all([
    nobodyAsked ?? alarmsBy(via),
    nobodyAsked ?? authBy(via),
    left.has('hashes')
      ? undefined
      : hashesOf(
          answering.map(({ session: its }) => its),
          later,
        ),
  ]);
  return {
    nowMs: clock.now(),
    betweenMs,
    members,
    endpoints: later,
    alarms,
    auth,
    clocks: peers.clocksWith(looks),
    downgrading: peers.downgrading,
    hashes,
    certificateFiles: certificateFilesOf(session),
    backup,
    command: commandOf(session),
    user: userOf(session),
  };
}

/** By whoever answers first with a quorum behind it; by anybody where nobody has one. */
async function membersBy(sessions: readonly Session[]): Promise<Asked<readonly MemberFacts[]>> {
  const list = ({ channel, call }: Session, linearizable: boolean) =>
    ask(async () => {
      const { members } = await channel.unary(Cluster.methods.memberList, { linearizable }, call);
      return members.map(
        ({ id, name, isLearner, clientURLs, peerURLs }): MemberFacts => ({
          id,
          name,
          isLearner,
          clientUrls: clientURLs,
          peerUrls: peerURLs,
        }),
      );
    });
  const alone = sessions.map((session) => list(session, false));
  const agreed = await firstAnswer(sessions.map((session) => list(session, true)));
  return agreed.kind === 'answered' ? agreed : await firstAnswer(alone);
}

/** Those that are advertised and those that were given, each once. An advertised one keeps the words that it is advertised by. */
function addressesOf(
  session: Session,
  members: readonly MemberFacts[],
): readonly { readonly url: string; readonly given: boolean }[] {
  const found = new Map<string, { url: string; given: boolean }>();
  const keyOf = (url: string) => JSON.stringify(session.targetOf(url)?.address ?? url);
  for (const url of members.flatMap(({ clientUrls }) => clientUrls)) {
    const key = keyOf(url);
    if (!found.has(key)) found.set(key, { url, given: false });
  }
  for (const url of session.endpoints) found.set(keyOf(url), { url: found.get(keyOf(url))?.url ?? url, given: true });
  return [...found.values()];
}

function alarmsBy({ channel, call }: Session): Promise<Facts['alarms']> {
  return ask(async () => {
    const { alarms } = await channel.unary(Maintenance.methods.alarm, AlarmRequest.create(), call);
    return alarms.map(({ memberID, alarm }) => ({ memberId: memberID, alarm: alarmName(alarm) }));
  });
}

function authBy({ channel, call }: Session): Promise<Facts['auth']> {
  return ask(async () => {
    const { enabled, authRevision } = await channel.unary(Auth.methods.authStatus, {}, call);
    return { enabled, revision: authRevision };
  });
}

const notAsked = { kind: 'silent', why: 'most members do not answer' } as const;

function certificateFilesOf({ flags }: Session): readonly CertificateFileFacts[] {
  return (['cert', 'cacert'] as const).flatMap((flag) => {
    const path = flags.string(flag);
    return path === undefined || path === '' ? [] : certificatesIn(flag, path);
  });
}

function commandOf({ flags }: Session): string {
  const given = ['cacert', 'cert', 'key'].flatMap((name) => {
    const value = flags.string(name);
    return value === undefined || value === '' ? [] : [`--${name} ${quoted(value)}`];
  });
  return [
    'wherry etcdctl',
    ...given,
    ...(flags.bool('insecure-skip-tls-verify') ? ['--insecure-skip-tls-verify'] : []),
    ...(flags.bool('insecure-transport') ? [] : ['--insecure-transport=false']),
  ].join(' ');
}

function userOf({ flags }: Session): string | undefined {
  const name = flags.string('user')?.split(':')[0];
  return name === undefined || name === '' ? undefined : quoted(name);
}
