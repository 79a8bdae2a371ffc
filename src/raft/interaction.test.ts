/** Upstream's interaction traces, line for line, and ours: see `docs/raft.md`. */
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runInteraction } from '#testkit/raft/interaction.ts';
import { InteractionGroup } from '#testkit/raft/interaction-group.ts';
import { listTraces, rewriteTrace, runTrace } from '#testkit/trace.ts';

const upstream = `${process.env['WHERRY_FIXTURES'] ?? '../shared/fixtures'}/raft/testdata`;

describe("upstream's traces of interaction", { skip: existsSync(upstream) ? false : 'no fixtures' }, () => {
  for (const name of existsSync(upstream) ? listTraces(upstream) : [])
    test(name, () => {
      const group = new InteractionGroup();
      runTrace(upstream, name, (step) => runInteraction(group, step));
    });
});

const ours = fileURLToPath(new URL('traces', import.meta.url));

describe('our traces of interaction', () => {
  for (const name of listTraces(ours))
    test(name, () => {
      const group = new InteractionGroup();
      const run = process.env['REWRITE_TRACES'] === undefined ? runTrace : rewriteTrace;
      run(ours, name, (step) => runInteraction(group, step));
    });
});
