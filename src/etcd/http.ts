/** What the client port answers besides gRPC: `/health`, `/livez`, `/readyz`, `/version` and `/metrics`, as upstream's do. */
import { AlarmType } from '#api-etcd/gen/rpc.ts';
import type { HttpHandler, HttpResponse } from '#transport/http.ts';
import { alarmName } from './maintenance/service.ts';
import type { Member } from './member.ts';
import { renderMetrics } from './metrics.ts';
import { clusterVersion, serverVersion } from './version.ts';

type Check = (member: Member) => string | undefined;

/** A read that is refused would show here; in this process a read cannot be. */
const readable: Check = () => undefined;

const checks: Readonly<Record<string, Readonly<Record<string, Check>>>> = {
  '/livez': { serializable_read: readable },
  '/readyz': {
    data_corruption: ({ machine }) => (machine.hasAlarm(AlarmType.CORRUPT) ? 'alarm activated: CORRUPT' : undefined),
    serializable_read: readable,
    linearizable_read: readable,
    non_learner: () => undefined,
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

function health({ machine }: Member, query: URLSearchParams): HttpResponse {
  const excluded = new Set(query.getAll('exclude'));
  const alarm = machine.alarms.find((each) => !excluded.has(alarmName(each.alarm)))?.alarm;
  if (alarm === undefined) return json(200, { health: 'true', reason: '' });
  const known = alarm === AlarmType.NOSPACE || alarm === AlarmType.CORRUPT;
  const reason = known ? `ALARM ${alarmName(alarm)}` : 'ALARM UNKNOWN';
  return text(503, `${JSON.stringify({ health: 'false', reason })}\n`);
}

/** `/livez`, `/readyz`, or one check below them. */
function checkedPath(member: Member, url: URL): (() => HttpResponse) | undefined {
  const [root, name, ...rest] = url.pathname.slice(1).split('/');
  const known = checks[`/${root}`];
  if (known === undefined || rest.length > 0 || (name !== undefined && known[name] === undefined)) return undefined;
  return () => {
    const excluded = new Set(url.searchParams.getAll('exclude'));
    let failed = false;
    let report = '';
    for (const [each, check] of Object.entries(known)) {
      if (name === undefined ? excluded.has(each) : each !== name) continue;
      const problem = check(member);
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
