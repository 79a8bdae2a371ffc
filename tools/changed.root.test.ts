/** Needs git, which a machine with Node and npm alone has not: what has changed, as git tells it; where it cannot tell, nothing is said to be unchanged. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { changedFiles } from './changed.ts';

function repository(): {
  readonly folder: string;
  git(...args: string[]): void;
  write(name: string): void;
} & Disposable {
  const folder = mkdtempSync(join(tmpdir(), 'changed-'));
  const git = (...args: string[]) => {
    const author = ['-c', 'user.name=a', '-c', 'user.email=a@example.test'];
    const { status, stderr } = spawnSync('git', ['-C', folder, ...author, ...args], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  };
  const write = (name: string) => {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), name);
  };
  git('init', '--quiet', '--initial-branch=main');
  write('a.ts');
  write('part/b.ts');
  git('add', '.');
  git('commit', '--quiet', '-m', 'first');
  return { folder, git, write, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}

const sorted = (files: Set<string> | undefined) => files && [...files].sort();

test('what the branch has changed, what is not committed, what is new; of what was moved both names', () => {
  using it = repository();
  assert.deepEqual(sorted(changedFiles(it.folder)), []);
  it.git('checkout', '--quiet', '-b', 'mine');
  it.git('mv', 'a.ts', 'moved.ts');
  it.git('commit', '--quiet', '-m', 'moved');
  it.write('a name with "quotes" and ü.ts');
  it.git('rm', '--quiet', 'part/b.ts');
  assert.deepEqual(sorted(changedFiles(it.folder)), ['a name with "quotes" and ü.ts', 'a.ts', 'moved.ts', 'part/b.ts']);
});

test('of a part of a larger repository, by paths from its own root', () => {
  using it = repository();
  it.write('part/c.ts');
  it.write('part/b.ts/../d.ts');
  it.git('add', 'part/c.ts');
  it.write('outside.ts');
  renameSync(join(it.folder, 'part/b.ts'), join(it.folder, 'part/e.ts'));
  assert.deepEqual(sorted(changedFiles(join(it.folder, 'part'))), ['b.ts', 'c.ts', 'd.ts', 'e.ts']);
});

test('without a main line, without a common commit, without a commit, without a repository: nobody knows', () => {
  using it = repository();
  it.git('branch', '--move', 'other');
  assert.equal(changedFiles(it.folder), undefined);
  it.git('checkout', '--quiet', '--orphan', 'main');
  it.git('commit', '--quiet', '-m', 'unrelated');
  it.git('checkout', '--quiet', 'other');
  assert.equal(changedFiles(it.folder), undefined);
  it.git('checkout', '--quiet', '--orphan', 'empty');
  assert.equal(changedFiles(it.folder), undefined);
  rmSync(join(it.folder, '.git'), { recursive: true });
  const ceiling = process.env['GIT_CEILING_DIRECTORIES'];
  process.env['GIT_CEILING_DIRECTORIES'] = tmpdir();
  assert.equal(changedFiles(it.folder), undefined);
  if (ceiling === undefined) delete process.env['GIT_CEILING_DIRECTORIES'];
  else process.env['GIT_CEILING_DIRECTORIES'] = ceiling;
});
