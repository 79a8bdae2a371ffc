/** What the client port answers besides gRPC: `/health`, `/livez`, `/readyz`, `/version` and `/metrics`, as upstream's do. */
import { AlarmType } from '#api-etcd/gen/rpc.ts';
import type { HttpHandler, HttpResponse } from '#transport/http.ts';
import { RpcError } from '#wire/grpc/status.ts';
import { alarmName } from './maintenance/service.ts';
import type { Member } from './member.ts';
import { renderMetrics } from './metrics.ts';
import { clusterVersion, serverVersion } from './version.ts';

/** What is wrong; undefined when nothing is. */
type Check = (member: Member) => string | undefined | Promise<string | undefined>;

/** A read that is refused would show here; in this process a read cannot be. */
const readable: Check = () => undefined;

/** Whether most members answer: takes as long as a read without them does before it gives up. */
const agreed: Check = async (member) => {
  try {
    await member.linearized();
    return undefined;
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    return error.message;
  }
};

const checks: Readonly<Record<string, Readonly<Record<string, Check>>>> = {
  '/livez': { serializable_read: readable },
  '/readyz': {
    data_corruption: ({ machine }) => (machine.hasAlarm(AlarmType.CORRUPT) ? 'alarm activated: CORRUPT' : undefined),
    serializable_read: readable,
    linearizable_read: agreed,
    non_learner: ({ isLearner }) => (isLearner ? 'not supported for learner' : undefined),
  },
};

export function etcdHttpHandler(member: Member): HttpHandler {
  return async ({ method, target }) => {
    const url = new URL(target, 'http://localhost');
    const path = url.pathname;
    const answer =
      path === '/version'
        ? () => json(200, { etcdserver: serverVersion, etcdcluster: member.machine.clusterVersion || clusterVersion })
        : path === '/metrics'
          ? () => text(200, renderMetrics(member))
          : path === '/health'
            ? () => health(member, url.searchParams)
            : checkedPath(member, url);
    if (answer === undefined) return text(404, '404 page not found\n');
    if (method !== 'GET') return { ...text(405, 'Method Not Allowed\n'), headers: [['allow', 'GET']] };
    return answer();
  };
}

async function health(member: Member, query: URLSearchParams): Promise<HttpResponse> {
  const reason = await illness(member, query);
  if (reason === undefined) return json(200, { health: 'true', reason: '' });
  return text(503, `${JSON.stringify({ health: 'false', reason })}\n`);
}

/** With `serializable=true` a member may be well alone. */
async function illness(member: Member, query: URLSearchParams): Promise<string | undefined> {
  const excluded = new Set(query.getAll('exclude'));
  const alarm = member.machine.alarms.find((each) => !excluded.has(alarmName(each.alarm)))?.alarm;
  if (alarm === AlarmType.NOSPACE || alarm === AlarmType.CORRUPT) return `ALARM ${alarmName(alarm)}`;
  if (alarm !== undefined) return 'ALARM UNKNOWN';
  if (query.get('serializable') === 'true') return undefined;
  if (member.leader === 0n) return 'RAFT NO LEADER';
  const problem = await agreed(member);
  return problem === undefined ? undefined : `RANGE ERROR:${problem}`;
}

/** `/livez`, `/readyz`, or one check below them. */
function checkedPath(member: Member, url: URL): (() => Promise<HttpResponse>) | undefined {
  const [root, name, ...rest] = url.pathname.slice(1).split('/');
  const known = checks[`/${root}`];
  if (known === undefined || rest.length > 0 || (name !== undefined && known[name] === undefined)) return undefined;
  return async () => {
    const excluded = new Set(url.searchParams.getAll('exclude'));
    let failed = false;
    let report = '';
    for (const [each, check] of Object.entries(known)) {
      if (name === undefined ? excluded.has(each) : each !== name) continue;
      const problem = await check(member);
      failed ||= problem !== undefined;
      report += problem === undefined ? `[+]${each} ok\n` : `[-]${each} failed: ${problem}\n`;
    }
    if (failed) return text(503, `${report}\n`);
    return text(200, `${url.searchParams.has('verbose') ? report : ''}ok\n`);
  };
}

function json(status: number, value: unknown): HttpResponse {
  return { status, headers: [['content-type', 'application/json']], body: Buffer.from(JSON.stringify(value)) };
}

function text(status: number, body: string): HttpResponse {
  return {
    status,
    headers: [
      ['content-type', 'text/plain; charset=utf-8'],
      ['x-content-type-options', 'nosniff'],
    ],
    body: Buffer.from(body),
  };
}
