/** Steps of images that come from a registry on the machine: by tag, by digest, and of a platform that is not ours. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { MediaType } from '#api-oci/image-spec.ts';
import { referenceBinary } from '#testkit/reference.ts';
import { makeLayer, pushImage, pushIndex, startRegistry } from '#testkit/registry-process.ts';
import { eventually } from './shell.ts';
import type { Steps } from './steps.ts';

/** @param kubectl runs it and answers what it printed */
export async function registrySteps(
  { step }: Pick<Steps, 'step'>,
  kubectl: (...args: string[]) => Promise<string>,
): Promise<void> {
  const registry = await startRegistry();
  try {
    const busybox = readFileSync(referenceBinary('busybox-static', 'busybox'));
    const tar = makeLayer({
      'bin/busybox': { bytes: busybox, mode: 0o755 },
      'bin/sh': { link: 'busybox' },
      'pulled.txt': { bytes: 'pulled\n' },
    });
    const layers = [{ mediaType: MediaType.ociLayer, blob: tar, tar }];
    const config = { Cmd: ['/bin/busybox', 'sh', '-c', 'trap "exit 0" TERM; while :; do busybox sleep 1; done'] };
    const ours = process.arch === 'x64' ? 'amd64' : process.arch;
    const push = (name: string, architecture: string) =>
      pushImage(registry.address, name, { layers, config, platform: { os: 'linux', architecture } });
    const image = await push('team/box:1', ours);
    const foreign = await push('team/foreign:only', ours === 's390x' ? 'amd64' : 's390x');
    // The platform is looked at where there is a choice: in an index.
    await pushIndex(registry.address, 'team/foreign:1', [foreign.manifest]);

    for (const [name, reference] of [
      ['by-tag', `${registry.address}/team/box:1`],
      ['by-digest', `${registry.address}/team/box@${image.manifest.digest}`],
    ] as const)
      await step(`an image from a registry, ${name.replace('-', ' ')}`, async () => {
        await kubectl('create', 'deployment', name, `--image=${reference}`);
        await kubectl('rollout', 'status', `deployment/${name}`, '--timeout=30s');
        assert.equal(await kubectl('exec', `deploy/${name}`, '--', '/bin/busybox', 'cat', '/pulled.txt'), 'pulled\n');
        const status = '{.items[0].status.containerStatuses[0].imageID}';
        const id = await kubectl('get', 'pods', '-l', `app=${name}`, '-o', `jsonpath=${status}`);
        assert.ok(id.endsWith(`/team/box@${image.manifest.digest}`), id);
        await kubectl('delete', 'deployment', name);
      });
    await step('an image of another architecture: the pod waits and says why', async () => {
      const reference = `${registry.address}/team/foreign:1`;
      await kubectl('run', 'foreign', `--image=${reference}`);
      const waiting = '{.status.containerStatuses[0].state.waiting.reason}';
      await eventually(
        'the pod waits for its image',
        () => kubectl('get', 'pod', 'foreign', '-o', `jsonpath=${waiting}`),
        (reason) => reason === 'ErrImagePull' || reason === 'ImagePullBackOff',
      );
      assert.match(
        await kubectl('get', 'events', '--field-selector', 'involvedObject.name=foreign'),
        /Failed to pull image .*no match for platform in manifest/,
      );
      await kubectl('delete', 'pod', 'foreign');
    });
  } finally {
    await registry[Symbol.asyncDispose]();
  }
}
