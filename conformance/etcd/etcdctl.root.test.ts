/** The reference's own command-line client says the same of both servers, and ours says what it says. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { type EtcdProcess, startEtcdProcess } from '#testkit/etcd-process.ts';
import { referenceBinary } from '#testkit/reference.ts';

const run = promisify(execFile);
const timeout = 30_000;
const folder = mkdtempSync(join(tmpdir(), 'etcdctl-'));
const servers: EtcdProcess[] = [];

const wherry = new URL('../../bin/wherry', import.meta.url).pathname;
const ourServer = [wherry, 'etcd'];
const theirClient = () => referenceBinary('etcd-client', 'etcdctl');

/** The first is what the others must equal. */
const pairs: readonly { readonly server: readonly string[]; readonly client: () => string }[] = [
  { server: [referenceBinary('etcd-server', 'etcd')], client: theirClient },
  { server: ourServer, client: theirClient },
  { server: ourServer, client: () => `${wherry} etcdctl` },
];

before(async () => {
  for (const [i, { server }] of pairs.entries())
    servers.push(await startEtcdProcess({ command: server, dataDir: join(folder, `data${i}`) }));
});

after(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

interface Said {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

async function say(i: number, line: string, input?: string): Promise<Said> {
  const running = run('sh', ['-c', `${pairs[i]!.client()} --endpoints ${servers[i]!.clientUrl} ${line}`], {
    cwd: join(folder, `data${i}`),
    timeout: 10_000,
  });
  if (input !== undefined) running.child.stdin!.end(input);
  try {
    return { ...(await running), code: 0 };
  } catch (error) {
    const { stdout, stderr, code } = error as Said;
    return { stdout, stderr, code };
  }
}

/** Without addresses, times, and the client's own log lines. */
function plain(text: string): string {
  return text
    .replace(/^\{"level".*\n/gm, '')
    .replaceAll(/127\.0\.0\.1:\d+/g, 'ADDRESS')
    .replaceAll(/took = [^ \n]+|took [^ \n]+/g, 'took TIME')
    .replaceAll(/remaining\(\d+s\)/g, 'remaining(TIME)');
}

const lines: readonly (readonly [line: string, input?: string])[] = [
  ['put a 1'],
  ['put a 1 -w json'],
  ['put a 1 --prev-kv -w fields'],
  ['put piped', 'from stdin'],
  ['get piped --hex'],
  ['get piped --print-value-only'],
  ['del piped'],
  ['put b 2 --prev-kv'],
  ['put b 3 --prev-kv -w json'],
  ['get a'],
  ['get "" --prefix --keys-only'],
  ['get "" --from-key -w fields'],
  ['get b --rev 3'],
  ['get b --rev 99'],
  ['get --prefix "" --sort-by=VALUE --order=DESCEND'],
  ['get --prefix "" --count-only -w fields'],
  ['del a --prev-kv'],
  ['txn', 'mod("b") > "0"\n\nput c 1\nget b\n\ndel b\n\n'],
  ['txn', 'value("b") = "nope"\n\nput c 1\n\nget c\ndel c\n\n'],
  ['watch b --rev 3 & sleep 2; kill $!'],
  ['txn -w json', '\nput c 1\nget c\ndel z\n\n\n'],
  ['txn -w fields', '\nput c "1 2" --prev-kv\nget c\ndel c --prev-kv\n\n\n'],
  ['txn', 'create("q") = "0"\nversion("q") < "1"\nvalue("b") != "x"\n\nput q "a b"\n\n\n'],
  ['get q -w json'],
  ['watch b --rev 2 --prev-kv -w json & sleep 2; kill $!'],
  ['watch b --rev 2 -w fields & sleep 2; kill $!'],
  ['watch --prefix "" --rev 2 & sleep 2; kill $!'],
  ['lease grant 100 | sed "s/lease [0-9a-f]*/lease ID/"'],
  ['lease grant 100 -w json | sed s/.ID.:[0-9]*/ID/'],
  ['lease list | head -1'],
  ['lease timetolive 1234 --keys -w json'],
  ['lease keep-alive 1234 --once'],
  ['lease grant 100 -w fields | grep -v ID'],
  ['lease revoke 1234'],
  ['lease timetolive 1234'],
  ['compaction 4'],
  ['get b --rev 3'],
  ['compaction 4'],
  ['compact 4'],
  ['mem l -w json | sed "s/clientURLs.*//"'],
  ['endpoint health'],
  ['endpoint health -w json | sed "s/took.:.[^,}]*/took/"'],
  ['endpoint status -w json | grep -o "leader.:[0-9]*"'],
  ['endpoint hashkv'],
  ['endpoint hashkv -w json'],
  ['endpoint hashkv -w table'],
  ['member list -w json | sed "s/clientURLs.*//"'],
  ['get a --order=x'],
  ['get a --consistency=x'],
  ['get'],
  ['lease grant x'],
  ['member list -w fields | grep -v -i url'],
  ['alarm list'],
  ['defrag'],
  ['snapshot save SNAPSHOT && rm SNAPSHOT'],
  ['put'],
  ['move-leader 1234'],
  ['put t 1 -w table'],
  ['get t -w table'],
  ['get t -w protobuf | wc -c | tr -d " "'],
  ['put t 1 -w nope'],
  ['txn', 'value("a") = "1"\n\nput a 1\n'],
  ['txn -i', '\nput ti 1\n\n\n'],
  ['txn operand', '\n\n\n'],
  ['watch'],
  ['watch t --'],
  [
    'watch t --rev 1 --prefix -- sh -c \'echo "$ETCD_WATCH_KEY $ETCD_WATCH_VALUE $ETCD_WATCH_EVENT_TYPE"\' & sleep 2; kill $!',
  ],
  ['watch -i', 'watch t --prefix\nnope\nwatch\n\n'],
  ['watch -w table t & sleep 2; kill $!'],
  ['member add'],
  ['member add new'],
  ['member add new http://127.0.0.1:9'],
  ['member remove'],
  ['member remove xyz'],
  ['member remove 1234'],
  ['member update 1234 --peer-urls=http://127.0.0.1:9'],
  ['member update 1234'],
  ['member promote 1234'],
  ['member list --hex -w json | sed "s/clientURLS.*//"'],
  ['auth status'],
  ['auth status -w json'],
  ['auth status -w fields'],
  ['auth enable'],
  ['auth enable operand'],
  ['user list'],
  ['user add'],
  ['user add :x'],
  ['user add root:root'],
  ['user add root:root'],
  ['user add anna --new-user-password anna'],
  ['user add ci --no-password -w json'],
  ['user add piped --interactive=false', 'secret\n'],
  ['user add fieldsuser:x -w fields'],
  ['user add tableuser:x -w table'],
  ['user list'],
  ['user list -w json'],
  ['user list -w fields'],
  ['user list operand'],
  ['user passwd piped --interactive=false', 'other\n'],
  ['user passwd nobody --interactive=false', 'other\n'],
  ['user delete fieldsuser'],
  ['user delete fieldsuser'],
  ['role list'],
  ['role add'],
  ['role add reader'],
  ['role add reader'],
  ['role add writer -w json'],
  ['role grant-permission reader'],
  ['role grant-permission reader nope a'],
  ['role grant-permission reader read a'],
  ['role grant-permission reader read b c'],
  ['role grant-permission reader readwrite p --prefix'],
  ['role grant-permission reader write z --from-key'],
  ['role grant-permission writer READWRITE "" --prefix'],
  ['role grant-permission reader read a b --prefix'],
  ['role grant-permission reader read a --prefix --from-key'],
  ['role get reader'],
  ['role get reader -w json'],
  ['role get reader -w fields'],
  ['role get writer'],
  ['role get nobody'],
  ['role list -w fields'],
  ['role revoke-permission reader b c'],
  ['role revoke-permission reader z --from-key'],
  ['role revoke-permission reader p --prefix'],
  ['role revoke-permission reader p --prefix'],
  ['role revoke-permission reader a'],
  ['role grant-permission reader read a'],
  ['user grant-role anna reader'],
  ['user grant-role anna nobody'],
  ['user grant-role anna'],
  ['user get anna'],
  ['user get anna --detail'],
  ['user get anna -w json'],
  ['user revoke-role anna writer'],
  ['user grant-role piped writer'],
  ['user revoke-role piped writer'],
  ['auth enable'],
  ['get a'],
  ['put a 1'],
  ['--user root:wrong get a'],
  ['--user root:root get a'],
  ['--user root --password root put a 1'],
  ['--user anna:anna get a'],
  ['--user anna:anna put a 1'],
  ['--user anna:anna user get anna'],
  ['--user anna:anna user list'],
  ['--user anna:anna endpoint health'],
  ['--user anna:anna watch b'],
  ['--user root:root role delete reader'],
  ['--user root:root auth disable'],
  ['auth status'],
  ['lock'],
  ['lock lk echo held'],
  ['lock lk -- sh -c "echo $ETCD_LOCK_KEY; exit 7"'],
  ['lock lk nonexistent-program'],
  ['lock lk > /dev/null & sleep 2; kill $!; wait'],
  ['elect'],
  ['elect e'],
  ['elect -l e x'],
  ['elect e leader > /dev/null & sleep 2; kill $!; wait'],
  ['elect -l e & sleep 2; kill $!'],
  ['get e --prefix --keys-only'],
  ['get lk --prefix --keys-only'],
  ['make-mirror'],
  ['check perf --load nope'],
  ['check perf --prefix t'],
  ['check datascale --load nope'],
];

/** The reference shows its whole usage: the codes are the same. */
const usageLines = ['nope', 'get a --nope', 'put a --lease'];

for (const [line, input] of lines)
  test(line, { timeout }, async () => {
    const [wanted, ...others] = await Promise.all(pairs.map((_, i) => say(i, line, input)));
    for (const [i, said] of others.entries()) {
      const who = i === 0 ? 'our server' : 'our server and client';
      assert.equal(plain(said.stdout), plain(wanted!.stdout), who);
      assert.equal(plain(said.stderr), plain(wanted!.stderr), who);
      assert.equal(said.code, wanted!.code, who);
    }
  });

test('get by revisions, as 3.6 has it', { timeout }, async () => {
  for (const value of ['1', '2']) await say(2, `put rev/a ${value}`);
  await say(2, 'put rev/b 3');
  const fields = (await say(2, 'get rev/a -w fields')).stdout;
  const [created, modified] = ['CreateRevision', 'ModRevision'].map((name) =>
    Number(new RegExp(`"${name}" : (\\d+)`).exec(fields)![1]),
  ) as [number, number];
  const keys = async (flag: string) =>
    (await say(2, `get rev/ --prefix --keys-only ${flag}`)).stdout.trim().split(/\s+/);
  assert.deepEqual(await keys(`--max-create-rev ${created}`), ['rev/a']);
  assert.deepEqual(await keys(`--min-create-rev ${created + 1}`), ['rev/b']);
  assert.deepEqual(await keys(`--max-mod-rev ${modified}`), ['rev/a']);
  assert.deepEqual(await keys(`--min-mod-rev ${modified + 1}`), ['rev/b']);
  assert.deepEqual(await keys(`--min-mod-rev ${created}`), ['rev/a', 'rev/b']);
});

for (const line of usageLines)
  test(line, { timeout }, async () => {
    const [wanted, ...others] = await Promise.all(pairs.map((_, i) => say(i, line)));
    for (const { code, stderr } of others) {
      assert.equal(code, wanted!.code);
      assert.match(stderr, /unknown|needs an argument/);
    }
  });
