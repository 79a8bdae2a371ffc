/** Upstream's interaction traces, line for line, and ours. */
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { runInteraction } from '#testkit/raft/interaction.ts';
import { InteractionGroup } from '#testkit/raft/interaction-group.ts';
import { listTraces, runTrace } from '#testkit/trace.ts';

const folder = `${process.env['WHERRY_FIXTURES'] ?? '../shared/fixtures'}/raft/testdata`;

describe("upstream's traces of interaction", { skip: existsSync(folder) ? false : 'no fixtures' }, () => {
  for (const name of existsSync(folder) ? listTraces(folder) : [])
    test(name, () => {
      const group = new InteractionGroup();
      runTrace(folder, name, (step) => runInteraction(group, step));
    });
});
