/**
 * `/debug/vars` on the client port: what the process and its raft are, as upstream's has it by Go's expvar. Of Go's memory statistics there are those that
 * mean something here.
 */
import { descriptorsMax, memoryUse } from '#host/process-memory.ts';
import type { Status } from '#raft/status.ts';
import type { HttpHandler, HttpRequest, HttpResponse } from '#transport/http.ts';
import type { Member } from './member.ts';

/** @returns undefined for every other path */
export function debugVarsHandler(member: Member): (request: HttpRequest) => ReturnType<HttpHandler> | undefined {
  return ({ method, target }) => {
    if (new URL(target, 'http://localhost').pathname !== '/debug/vars') return undefined;
    return Promise.resolve(method === 'GET' ? varsOf(member) : notAllowed);
  };
}

function varsOf({ replica }: Member): HttpResponse {
  const descriptors = descriptorsMax();
  const vars = {
    cmdline: process.argv,
    ...(descriptors !== undefined && { file_descriptor_limit: descriptors }),
    memstats: memoryStatistics(),
    'raft.status': replica === undefined ? null : raftStatus(replica.status()),
  };
  const lines = Object.entries(vars).map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`);
  return {
    status: 200,
    headers: [['content-type', 'application/json; charset=utf-8']],
    body: Buffer.from(`{\n${lines.join(',\n')}\n}\n`),
  };
}

/** Bytes. What the engine keeps outside of its heap, such as the records of the store, counts as allocated on it. */
function memoryStatistics() {
  const { rss, heapTotal, heapUsed, external } = memoryUse();
  return {
    Alloc: heapUsed + external,
    Sys: rss,
    HeapAlloc: heapUsed + external,
    HeapSys: heapTotal + external,
    HeapIdle: heapTotal - heapUsed,
    HeapInuse: heapUsed + external,
  };
}

/** As etcd-io/raft writes it: ids in hexadecimal, progress on leaders alone. */
function raftStatus({ id, term, vote, commit, leader, state, applied, progress, leadTransferee }: Status) {
  const hex = (each: bigint) => each.toString(16);
  return {
    id: hex(id),
    term,
    vote: hex(vote),
    commit,
    lead: hex(leader),
    raftState: state,
    applied,
    progress: Object.fromEntries(
      [...progress].map(([each, { match, next, state: sends }]) => [hex(each), { match, next, state: sends }]),
    ),
    leadtransferee: hex(leadTransferee),
  };
}

const notAllowed: HttpResponse = {
  status: 405,
  headers: [
    ['content-type', 'text/plain; charset=utf-8'],
    ['x-content-type-options', 'nosniff'],
    ['allow', 'GET'],
  ],
  body: Buffer.from('Method Not Allowed\n'),
};
