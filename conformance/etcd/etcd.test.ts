/** Our etcd, in this process and in memory, answers what the reference answered when `answers.jsonl` was recorded. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { startEtcd } from '#etcd/start.ts';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import { recordedAnswers } from './recorded.ts';
import { scenarios } from './scenarios.ts';
import { answersOf } from './script.ts';

const recorded = recordedAnswers();

describe('in memory', { timeout: 180_000 }, async () => {
  const etcd = await startEtcd({
    config: { bcryptCost: 4 },
    deps: { clock: systemClock, prng: systemPrng(), log: () => {} },
  });
  const channel = etcd.connect();
  after(async () => {
    await channel[Symbol.asyncDispose]();
    await etcd[Symbol.asyncDispose]();
  });
  const answers = await answersOf(scenarios, channel);
  for (const { name } of scenarios) test(name, () => assert.deepEqual(answers[name], recorded[name]));
});
