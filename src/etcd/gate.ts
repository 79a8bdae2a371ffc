/**
 * What every call passes before its handler: a learner answers next to nothing, a caller who asks for a leader is refused without one, and
 * a token must be known here. (upstream: api/v3rpc/interceptor.go)
 */
import { etcdError } from '#api-etcd/errors.ts';
import { KV, Maintenance } from '#api-etcd/gen/rpc.ts';
import type { CallContext } from '#rpc/call.ts';
import type { InterceptedCall, Interceptor } from '#rpc/server.ts';
import type { Method } from '#wire/grpc/service.ts';
import type { Authenticator } from './auth/authenticator.ts';
import type { LeaderWatch } from './leader-watch.ts';
import type { Member } from './member.ts';

/** Range looks at its request: a stale one is answered. Health is nobody's data. */
const forLearners: ReadonlySet<string> = new Set([
  KV.methods.range.path,
  Maintenance.methods.status.path,
  Maintenance.methods.snapshot.path,
  '/grpc.health.v1.Health/Check',
  '/grpc.health.v1.Health/Watch',
]);

export function gate(member: Member, authenticator: Authenticator, leaderWatch: LeaderWatch): Interceptor {
  return (method: Method, call: InterceptedCall) => {
    if (member.isLearner && !forLearners.has(method.path)) throw etcdError('notSupportedForLearner');
    const isLed = member.leader !== 0n;
    // Most calls are of one answer, and there is a leader: what they ask for is not even read.
    if ((!isLed || method.kind !== 'unary') && asksForLeader(call)) {
      if (!isLed) throw etcdError('noLeader');
      leaderWatch.add(call);
    }
    return authenticator.tokenKnown(call);
  };
}

function asksForLeader({ metadata }: CallContext): boolean {
  return metadata.some(([name, value]) => name === 'hasleader' && value === 'true');
}
