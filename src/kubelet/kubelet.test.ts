/** The kubelet on a runtime of records: what it hears of pods, with the runtime's events and without. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { withHollowKubelet } from '#testkit/hollow-kubelet.ts';

for (const events of [true, false])
  test(
    `the end of a container is heard of, ${events ? 'by events' : 'on a runtime without events'}`,
    { timeout: 20_000 },
    () =>
      withHollowKubelet({ events, scripts: () => ({ exit: { afterMs: 300, code: 0 } }) }, async ({ pods, run }) => {
        await run('p', { restartPolicy: 'Never' });
        while ((await pods.get('p')).status?.phase !== 'Succeeded') await sleep(20);
        const { status } = await pods.get('p');
        assert.equal(status?.containerStatuses?.[0]?.state.terminated?.reason, 'Completed');
      }),
  );
