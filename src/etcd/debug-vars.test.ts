/** `/debug/vars`: the names that upstream's monitoring reads, with what is true of this process. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '#host/clock.ts';
import { utf8Decode } from '#std/bytes.ts';
import { seededPrng } from '#std/prng.ts';
import { MemoryDisk } from '#storage/memory-disk.ts';
import { header } from '#transport/http.ts';
import { type Etcd, startEtcd } from './start.ts';

function ask({ http }: Pick<Etcd, 'http'>, method = 'GET') {
  return http({
    ...{ method, target: '/debug/vars', headers: [], authority: '', protocol: 'HTTP/1.1' },
    body: (async function* () {})(),
    peer: { address: 'in-memory' },
    signal: new AbortController().signal,
  });
}

test('the process, its memory and its raft, on the client port alone', { timeout: 20_000 }, async () => {
  const deps = { clock: systemClock, prng: seededPrng(1), log: () => {} };
  await using etcd = await startEtcd({ config: { dataDir: 'data' }, deps: { ...deps, disk: new MemoryDisk() } });
  const { status, headers, body } = await ask(etcd);
  assert.equal(status, 200);
  assert.equal(header(headers, 'content-type'), 'application/json; charset=utf-8');
  const vars = JSON.parse(utf8Decode(body as Uint8Array));
  const { member } = etcd;
  const id = member.identity.memberId.toString(16);
  assert.deepEqual(vars['raft.status'], {
    ...{ id, term: member.term, vote: id, commit: member.committedIndex, lead: id, raftState: 'StateLeader' },
    applied: member.appliedIndex,
    progress: { [id]: { match: member.appliedIndex, next: member.appliedIndex + 1, state: 'StateReplicate' } },
    leadtransferee: '0',
  });
  assert.deepEqual(vars.cmdline, process.argv);
  assert.ok(vars.file_descriptor_limit > 0);
  assert.ok(vars.memstats.Sys > vars.memstats.HeapSys && vars.memstats.HeapSys >= vars.memstats.HeapInuse);
  assert.equal((await ask(etcd, 'POST')).status, 405);
  assert.equal((await ask({ http: etcd.health })).status, 404);
  // Without a log there is no raft.
  await using inMemory = await startEtcd({ config: {}, deps });
  assert.equal(JSON.parse(utf8Decode((await ask(inMemory)).body as Uint8Array))['raft.status'], null);
});
