/** What the reference answered, one line an answer. `bin/node conformance/etcd/recorded.ts` asks it again and writes the file. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#host/clock.ts';
import { connectRpc } from '#rpc/client.ts';
import { startEtcdProcess } from '#testkit/etcd-process.ts';
import { referenceBinary } from '#testkit/reference.ts';
import { parseTarget } from '#transport/dial.ts';
import { scenarios } from './scenarios.ts';
import { type Answers, answersOf } from './script.ts';

const file = new URL('./answers.jsonl', import.meta.url);

export function recordedAnswers(): Answers {
  const answers: Record<string, unknown[]> = {};
  for (const line of readFileSync(file, 'utf8').trimEnd().split('\n')) {
    const { scenario, answer } = JSON.parse(line) as { scenario: string; answer: unknown };
    answers[scenario] ??= [];
    answers[scenario].push(answer);
  }
  return answers;
}

async function record(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'etcd-record-'));
  try {
    await using server = await startEtcdProcess({
      command: [referenceBinary('etcd-server', 'etcd')],
      dataDir: join(folder, 'data'),
    });
    await using channel = connectRpc({ target: parseTarget(server.clientUrl), clock: systemClock });
    const lines = Object.entries(await answersOf(scenarios, channel)).flatMap(([scenario, answers]) =>
      answers.map((answer) => `${JSON.stringify({ scenario, answer })}\n`),
    );
    writeFileSync(file, lines.join(''));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) await record();
