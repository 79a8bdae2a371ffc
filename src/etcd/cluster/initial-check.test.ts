/** A member that is to compare what it holds with its peers before it serves: when it does not start, and when it does all the same. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { utf8Encode as bytes } from '#std/bytes.ts';
import { TestCluster } from '#testkit/etcd-test-cluster.ts';
import { replaceFile } from '../checkpoint/save.ts';

const three = ['a', 'b', 'c'];
const checked = { initialCorruptCheck: true };

/** Changes a value on a member's disk, as bit rot would. */
async function damage(cluster: TestCluster, name: string): Promise<void> {
  const disk = cluster.disks.get(name)!;
  const path = `${name}/member/snap/db`;
  const file = (await disk.read(path))!;
  const at = file.indexOf('right');
  assert.ok(at > 0);
  file.write('wrong', at);
  await replaceFile(disk, path, [file]);
}

describe('before a member serves', { timeout: 30_000 }, () => {
  test('other data than its peers hold: it does not start, in the words of upstream', async () => {
    await using cluster = await TestCluster.start(three, checked);
    await cluster.put('a', 'k', 'right');
    await cluster.agree();
    const { memberId } = cluster.members.get('b')!.member.identity;
    await cluster.stop('b');
    await damage(cluster, 'b');
    await assert.rejects(cluster.passes(cluster.startMember('b')), {
      name: 'InconsistentError',
      message: `${memberId.toString(16)} found data inconsistency with peers`,
    });
    assert.equal(cluster.log.filter((line) => line.startsWith('found different hash values from')).length, 2);
    // The folder is let go of: without the check it starts.
    await cluster.passes(cluster.startMember('b', { initialCorruptCheck: false }));
  });

  test('the same data, at an older revision, after a crash: it starts', async () => {
    await using cluster = await TestCluster.start(three, checked);
    for (let i = 0; i < 5; i++) await cluster.put('a', 'k', `right ${i}`);
    await cluster.agree();
    cluster.kill('b');
    await cluster.put('a', 'k', 'newer');
    cluster.peers.heal();
    await cluster.passes(cluster.startMember('b'));
    assert.deepEqual(
      cluster.log.filter((line) => /hash/.test(line)),
      [],
    );
    await cluster.agree();
  });

  test('what the log has beyond what is agreed on counts for nothing: it may become something else', async () => {
    await using cluster = await TestCluster.start(three, checked);
    await cluster.put('a', 'k', 'right');
    await cluster.agree();
    const cut = cluster.leaderName!;
    const { member } = cluster.members.get(cut)!;
    cluster.peers.isolate(member.identity.memberId);
    const lost = cluster.client(cut).put({ key: bytes('k'), value: bytes('never agreed on') });
    lost.catch(() => {});
    await cluster.until(() => cluster.leaderName !== cut);
    const [other] = cluster.followerNames.filter((name) => name !== cut);
    cluster.kill(cut);
    await cluster.put(other!, 'k', 'agreed on');
    cluster.peers.heal();
    await cluster.passes(cluster.startMember(cut));
    await cluster.agree();
  });

  test('peers that have compacted more, or cannot be asked, are passed over', async () => {
    await using cluster = await TestCluster.start(three, checked);
    for (let i = 0; i < 5; i++) await cluster.put('a', 'k', 'right');
    await cluster.agree();
    await cluster.stop('b');
    await damage(cluster, 'b');
    const via = cluster.leaderName!;
    const { header } = await cluster.put(via, 'k', 'newer');
    await cluster.passes(cluster.client(via).compact({ revision: header!.revision }));
    await cluster.passes(cluster.startMember('b'));
    assert.ok(
      cluster.log.some((line) => line.startsWith('cannot fetch hash from remote peer; local member is behind')),
    );
    for (const name of three) await cluster.stop(name);
    cluster.log.length = 0;
    await cluster.passes(cluster.startMember('b'));
    assert.equal(cluster.log.filter((line) => line.startsWith('failed hash kv request')).length, 2);
  });
});
