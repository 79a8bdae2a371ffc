/** Who gets in, who waits, who is next: the budget by itself, with bytes that are easy to add. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededPrng } from '#std/prng.ts';
import { Account, Budget, type Waiting } from './budget.ts';

const MiB = 1 << 20;
/** 8 MiB for what is large, 2 of them a connection's; 4 for what is small; 4 for what waits. */
const total = 16 * MiB;

/** A queue's end: what was admitted, in order. */
class Line {
  readonly budget = new Budget(total);
  readonly admitted: string[] = [];

  ask(name: string, account: Account, bytes: number, requestBytes = 100): Waiting | 'runs' | 'refused' {
    if (this.budget.tryAdmit(account, bytes)) return 'runs';
    const waiting = { account, bytes, requestBytes, admitted: () => this.admitted.push(name) };
    return this.budget.wait(waiting) ? waiting : 'refused';
  }
}

test('what fits runs at once and gives its bytes back', () => {
  const { budget } = new Line();
  const account = new Account();
  assert.ok(budget.tryAdmit(account, 500));
  assert.ok(budget.tryAdmit(account, MiB));
  assert.equal(budget.admittedBytes, MiB + 500);
  budget.release(account, 500);
  budget.release(account, MiB);
  assert.deepEqual([budget.admittedBytes, account.admittedBytes], [0, 0]);
});

test('while large requests wait, small ones of any connection run', () => {
  const line = new Line();
  const accounts = Array.from({ length: 5 }, () => new Account());
  for (const account of accounts.slice(0, 4)) assert.equal(line.ask('', account, 2 * MiB), 'runs');
  assert.equal(typeof line.ask('fifth', accounts[4]!, 2 * MiB), 'object');
  for (const account of accounts) assert.equal(line.ask('', account, 300), 'runs');
  line.budget.release(accounts[0]!, 2 * MiB);
  assert.deepEqual(line.admitted, ['fifth']);
});

test('a connection with a thousand large requests lets another one in at its next turn', () => {
  const line = new Line();
  const [busy, other, running] = [new Account(), new Account(), new Account()];
  assert.equal(line.ask('', running, 8 * MiB), 'runs');
  for (let i = 0; i < 1000; i++) line.ask(`busy ${i}`, busy, 2 * MiB);
  line.ask('other 0', other, 2 * MiB);
  line.ask('other 1', other, 2 * MiB);
  line.budget.release(running, 8 * MiB);
  assert.deepEqual(line.admitted, ['busy 0', 'other 0']);
  line.budget.release(busy, 2 * MiB);
  line.budget.release(other, 2 * MiB);
  assert.deepEqual(line.admitted, ['busy 0', 'other 0', 'busy 1', 'other 1']);
});

test('small ones that wait are served in turn as well', () => {
  const line = new Line();
  const [busy, other] = [new Account(), new Account()];
  const small = 16 << 10;
  let running = 0;
  while (line.ask('busy', busy, small) === 'runs') running++;
  assert.equal(running, 256);
  line.ask('busy', busy, small);
  line.ask('other', other, small);
  for (let i = 0; i < 3; i++) line.budget.release(busy, small);
  assert.deepEqual(line.admitted, ['busy', 'other', 'busy']);
});

test('a connection that takes no answers holds a quarter at most, and its requests wait until it takes them; others go on', () => {
  const line = new Line();
  const [deaf, other] = [new Account(), new Account()];
  assert.equal(line.ask('', deaf, MiB), 'runs');
  line.budget.untaken(deaf, 2 * MiB);
  line.budget.release(deaf, MiB);
  assert.equal(typeof line.ask('deaf', deaf, MiB), 'object');
  // In line behind the one that waits, and past it at once.
  assert.equal(typeof line.ask('other', other, 2 * MiB), 'object');
  assert.deepEqual(line.admitted, ['other']);
  line.budget.untaken(deaf, 0);
  assert.deepEqual(line.admitted, ['other', 'deaf']);
});

test('when everything is full of untaken answers, small requests wait only on connections that leave theirs', () => {
  const line = new Line();
  const [deaf, other] = [new Account(), new Account()];
  line.budget.untaken(deaf, 20 * MiB);
  assert.equal(typeof line.ask('deaf', deaf, 300), 'object');
  assert.equal(typeof line.ask('large', other, MiB), 'object');
  line.budget.untaken(other, 1000);
  // Somebody waits already, so it gets in line; its turn is at once.
  assert.equal(typeof line.ask('other', other, 300), 'object');
  assert.deepEqual(line.admitted, ['other']);
  line.budget.untaken(deaf, MiB);
  assert.deepEqual(line.admitted, ['other', 'deaf', 'large']);
});

test('what is larger than the whole budget runs when nothing else that is large does, and holds its turn until then', () => {
  const line = new Line();
  const [first, huge, later] = [new Account(), new Account(), new Account()];
  assert.equal(line.ask('', first, 2 * MiB), 'runs');
  line.ask('huge', huge, 100 * MiB);
  line.ask('later', later, MiB);
  assert.deepEqual(line.admitted, []);
  line.budget.release(first, 2 * MiB);
  assert.deepEqual(line.admitted, ['huge']);
  line.budget.release(huge, 100 * MiB);
  assert.deepEqual(line.admitted, ['huge', 'later']);
});

test('who gives up is passed over, and frees whoever is behind', () => {
  const line = new Line();
  const [first, huge, later] = [new Account(), new Account(), new Account()];
  assert.equal(line.ask('', first, 2 * MiB), 'runs');
  const waiting = line.ask('huge', huge, 100 * MiB) as Waiting;
  line.ask('later', later, MiB);
  line.budget.giveUp(waiting);
  assert.deepEqual(line.admitted, ['later']);
  line.budget.giveUp(waiting);
  assert.deepEqual([line.budget.waitingCount, line.budget.waitingBytes, huge.waitingCount], [0, 0, 0]);
});

test('the queue is bounded: in all, for a connection, and in bytes', () => {
  const line = new Line();
  const [running, greedy] = [new Account(), new Account()];
  assert.equal(line.ask('', running, 8 * MiB), 'runs');
  for (let i = 0; i < 1024; i++) assert.equal(typeof line.ask('', greedy, MiB), 'object');
  assert.equal(line.ask('', greedy, MiB), 'refused');
  for (let i = 0; i < 7 * 1024; i++) assert.equal(typeof line.ask('', new Account(), MiB), 'object');
  assert.equal(line.ask('', new Account(), MiB), 'refused');
  const other = new Line();
  assert.equal(other.ask('', new Account(), 8 * MiB), 'runs');
  assert.equal(typeof other.ask('', new Account(), 4 * MiB, 3 * MiB), 'object');
  assert.equal(other.ask('', new Account(), 4 * MiB, 2 * MiB), 'refused');
});

test('whatever comes, goes and gives up: never more than the budget but for one, and in the end nothing is held and nobody waits', () => {
  const prng = seededPrng(11);
  const below = (max: number) => prng.uint32() % max;
  const budget = new Budget(total);
  const accounts = Array.from({ length: 6 }, () => new Account());
  const running: { account: Account; bytes: number }[] = [];
  const waiting = new Set<Waiting>();
  for (let step = 0; step < 20_000; step++) {
    const account = accounts[below(accounts.length)]!;
    const what = below(10);
    if (what < 5) {
      const bytes = below(3) === 0 ? below(3 * MiB) : below(20_000);
      if (budget.tryAdmit(account, bytes)) running.push({ account, bytes });
      else {
        const one: Waiting = {
          account,
          bytes,
          requestBytes: 100,
          admitted() {
            waiting.delete(one);
            running.push(one);
          },
        };
        waiting.add(one);
        if (!budget.wait(one)) waiting.delete(one);
      }
    } else if (what < 8 && running.length > 0) {
      const [{ account: its, bytes }] = running.splice(below(running.length), 1) as [(typeof running)[0]];
      budget.release(its, bytes);
    } else if (what === 8) budget.untaken(account, below(2) * below(MiB));
    else
      for (const one of waiting) {
        waiting.delete(one);
        budget.giveUp(one);
        break;
      }
    assert.ok(budget.admittedBytes <= total, `${budget.admittedBytes} at step ${step}`);
    assert.equal(budget.waitingCount, waiting.size);
  }
  for (const account of accounts) budget.untaken(account, 0);
  while (running.length > 0) {
    const { account, bytes } = running.pop()!;
    budget.release(account, bytes);
  }
  assert.equal(waiting.size, 0);
  assert.deepEqual([budget.admittedBytes, budget.untakenBytes, budget.waitingBytes, budget.waitingCount], [0, 0, 0, 0]);
});
