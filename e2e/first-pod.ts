/**
 * From an empty machine to a real pod and back: every line of what a user does, then bad days, with the real kubectl on real containers, in
 * namespaces of its own. Needs root and the reference packages.
 *
 *     bin/node e2e/first-pod.ts [--parts=ours|etcd|containerd|masters]
 *
 * `--parts` puts Debian's etcd, or Debian's containerd, in the place of ours, or three control planes in the place of one.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { assertInventory } from '#testkit/inventory.ts';
import { badDays } from './bad-days.ts';
import { clientNodeSteps } from './client-node-steps.ts';
import { enterOwnNamespaces } from './own-namespaces.ts';
import { type KindOfParts, kindsOfParts } from './parts.ts';
import { registrySteps } from './registry-steps.ts';
import { openScene } from './scene.ts';
import { createSteps } from './steps.ts';
import { streamingSteps } from './streaming-steps.ts';
import { userSteps } from './user-steps.ts';

const { values } = parseArgs({ options: { parts: { type: 'string', default: 'ours' } } });
const kind = values.parts as KindOfParts;
if (!kindsOfParts.includes(kind)) throw new Error(`--parts=${kind}: use one of ${kindsOfParts.join(', ')}`);
const runId = enterOwnNamespaces();

const steps = createSteps();
const scene = await openScene(runId, kind, steps);
const { kubectl, env, kubectlPath, kubeconfig, cluster, parts, name, home } = scene;
try {
  await userSteps(scene);
  await registrySteps(steps, kubectl);
  await clientNodeSteps(steps, kubeconfig);
  await badDays(scene);
  await streamingSteps(steps, kubectlPath, env);
} finally {
  await steps.step('down --purge: nothing is left in the kernel or on the disk', async () => {
    await scene.doc('npx wherry down --purge', { more: [...cluster, ...parts.downFlags] });
    await parts[Symbol.asyncDispose]();
    await assertInventory(scene.before, scene.mine);
    assert.ok(!readFileSync(kubeconfig, 'utf8').includes(`wherry-${name}`), 'the context is gone');
    for (const path of [scene.dataDir, join('/run/wherry', name), join('/var/lib/wherry', name)])
      assert.ok(!existsSync(path), `${path} is gone`);
    rmSync(home, { recursive: true });
  });
}
process.exitCode = steps.finish();
