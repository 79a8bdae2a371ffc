/**
 * Bad days, each a step that gets upstream's error or one clear line, and leaves the kernel as it was: what it made must be gone when it ends. The ones of
 * machines (ports, disks, rights, damaged files) play on small clusters of their own beside the running one.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assertInventory, type InventoryOptions, takeInventory } from '#testkit/inventory.ts';
import type { PodList, Scene } from './scene.ts';
import { eventually, run, start } from './shell.ts';
import { smallClusterDays } from './small-cluster-days.ts';

export async function badDays(scene: Scene): Promise<void> {
  await crashedDay(scene);
  // They have all parts of their own, whatever the others are.
  if (scene.kind === 'ours') await smallClusterDays({ ...scene, step: (name, days) => badDay(scene, name, days) });
  await imageDays(scene);
  await objectDays(scene);
}

/** A step after which nothing is in the kernel that was not there before. */
async function badDay(
  { step, mine }: Scene,
  name: string,
  day: () => Promise<void>,
  inventory: InventoryOptions = mine,
): Promise<void> {
  const before = takeInventory(inventory);
  await step(name, async () => {
    await day();
    await assertInventory(before, { ...inventory, withinMs: 40_000 });
  });
}

async function crashedDay(scene: Scene): Promise<void> {
  const { kubectl, pods, mine, wherry, cluster, env } = scene;
  // The cluster's own process is another one afterwards.
  const others = { only: (text: string) => mine.only!(text) && !text.includes('launch.mjs up') };
  const day = async () => {
    await kubectl('create', 'configmap', 'acknowledged', '--from-literal=a=b');
    const state = async () =>
      (await pods('-l', 'app=hello')).map(({ metadata, status: { containerStatuses = [] } }) => {
        const { containerID, restartCount, state: now } = containerStatuses[0]!;
        return `${metadata.name} ${containerID} ${restartCount} ${now.running !== undefined}`;
      });
    const programs = () => takeInventory(mine).processes.filter((line) => /^(\/bin)?\/hello/.test(line));
    const [states, running] = [await state(), programs()];
    assert.equal(running.length, 5);
    scene.up.child.kill('SIGKILL');
    await scene.up.ended;
    await scene.startUp();
    assert.match(await kubectl('get', 'configmap', 'acknowledged', '-o', 'yaml'), /a: b/);
    assert.deepEqual(programs(), running, 'the same processes');
    assert.deepEqual(await state(), states, 'the same containers, not restarted');
  };
  await badDay(scene, 'kill -9: writes are there, containers ran on and are adopted', day, others);
  await badDay(scene, 'a second up of the same cluster is refused in one line', async () => {
    const { code, stderr } = await run(wherry, ['up', ...cluster], { env, mayFail: true });
    assert.equal(code, 3);
    assert.match(stderr, /^wherry: cluster \S+ is already running \(pid \d+\) at \S+\n$/);
  });
}

async function imageDays(scene: Scene): Promise<void> {
  const { kubectl, refused, waitingReasons, home } = scene;
  await badDay(scene, 'an image name that is none', async () => {
    const image = 'Not/A:Name:At:All';
    assert.equal(
      await refused('run', 'wrong', `--image=${image}`),
      `error: Invalid image name "${image}": invalid reference format\n`,
    );
    const file = join(home, 'wrong.json');
    const metadata = { name: 'wrong', labels: { app: 'wrong' } };
    const spec = { containers: [{ name: 'wrong', image }] };
    writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata, spec }));
    await kubectl('create', '-f', file);
    await eventually(
      'the pod says so',
      () => waitingReasons('app=wrong'),
      ([reason]) => reason === 'InvalidImageName',
    );
    await eventually(
      'an event says why',
      () => kubectl('get', 'events', '--field-selector', 'involvedObject.name=wrong'),
      (text) => text.includes('couldn\'t parse image name "Not/A:Name:At:All": invalid reference format'),
    );
    await kubectl('delete', 'pod', 'wrong');
  });
  await badDay(scene, 'a registry that is down', async () => {
    await kubectl('create', 'deployment', 'down', '--image=127.0.0.1:9/nothing:1');
    await eventually(
      'the pod says so',
      () => waitingReasons('app=down'),
      ([reason]) => reason === 'ErrImagePull' || reason === 'ImagePullBackOff',
    );
    await eventually(
      'an event says why',
      () => kubectl('get', 'events'),
      (text) => /Failed to pull image "127\.0\.0\.1:9\/nothing:1": .*connection refused/.test(text),
    );
    await kubectl('delete', 'deployment', 'down');
  });
}

async function objectDays(scene: Scene): Promise<void> {
  const { kubectl, refused, tool, home, cluster, env, kubectlPath } = scene;
  await badDay(scene, 'YAML that is not YAML, to kubectl and to the server', async () => {
    const text = 'a: [\nb: }';
    const { stderr, code } = await run(kubectlPath, ['apply', '-f', '-'], { env, input: text, mayFail: true });
    assert.equal(code, 1);
    assert.match(stderr, /^error: error parsing STDIN: error converting YAML to JSON: yaml: line \d: /);
    await throughProxy(scene, async (server) => {
      const answer = await fetch(`${server}/api/v1/namespaces/default/configmaps`, {
        method: 'POST',
        headers: { 'content-type': 'application/yaml' },
        body: text,
      });
      const { reason, message } = (await answer.json()) as { readonly reason: string; readonly message: string };
      assert.deepEqual([answer.status, reason], [400, 'BadRequest']);
      assert.match(message, /yaml: line \d: /);
    });
  });
  await badDay(scene, 'an object of 3 MB, and one that is only too large for its kind', async () => {
    const configMap = (bytes: number) => {
      const file = join(home, 'large.json');
      const metadata = { name: 'large' };
      writeFileSync(
        file,
        JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { x: 'y'.repeat(bytes) } }),
      );
      return file;
    };
    assert.match(
      await refused('create', '-f', configMap(3 << 20)),
      /^Error from server \(RequestEntityTooLarge\): error when creating "\S+": Request entity too large: limit is 3145728\n$/,
    );
    assert.match(
      await refused('create', '-f', configMap(2 << 20)),
      /^The ConfigMap "large" is invalid: \[]: Too long: may not be more than 1048576 bytes\n$/,
    );
  });
  await badDay(scene, 'a pod that cannot fit, and why', async () => {
    const overrides = JSON.stringify({
      spec: { containers: [{ name: 'huge', image: 'wherry/hello:1', resources: { requests: { cpu: '900' } } }] },
    });
    await kubectl('run', 'huge', '--image=wherry/hello:1', `--overrides=${overrides}`);
    await eventually(
      'the event is there',
      () => kubectl('get', 'events', '--field-selector', 'involvedObject.name=huge'),
      (text) => /FailedScheduling.*0\/1 nodes are available: 1 Insufficient cpu/.test(text),
    );
    assert.match(await tool('why', 'pod/huge', ...cluster), /NodeResourcesFit: Insufficient cpu/);
    await kubectl('delete', 'pod', 'huge');
  });
  await badDay(scene, 'a crash loop', async () => {
    await kubectl('run', 'crash', '--image=wherry/hello:1', '--command', '--', 'sh', '-c', 'echo last words; exit 3');
    const crashing = async () =>
      (JSON.parse(await kubectl('get', 'pod', 'crash', '-o', 'json')) as PodList['items'][number]).status
        .containerStatuses?.[0];
    await eventually('it backs off', crashing, (status) => status?.state.waiting?.reason === 'CrashLoopBackOff');
    assert.match(await kubectl('logs', 'crash'), /last words/);
    await eventually(
      'an event says so',
      () => kubectl('get', 'events'),
      (text) => text.includes('Back-off restarting failed container crash in pod crash'),
    );
    await kubectl('delete', 'pod', 'crash');
  });
  await badDay(scene, 'a name that is a path: of an object, in an address, of a cluster', async () => {
    const file = join(home, 'path.json');
    writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: '../../etc' } }));
    assert.match(
      await refused('create', '-f', file),
      /^The ConfigMap "\.\.\/\.\.\/etc" is invalid: metadata\.name: Invalid value: "\.\.\/\.\.\/etc": a lowercase RFC 1123 subdomain must consist of/,
    );
    await throughProxy(scene, async (server) => {
      const answer = await fetch(`${server}/api/v1/namespaces/default/configmaps/..%2F..%2Fetc%2Fpasswd`);
      assert.equal(answer.status, 404);
    });
    const { code, stderr } = await run(scene.wherry, ['up', '--name', '../../etc'], { env, mayFail: true });
    assert.equal(code, 2);
    assert.match(stderr, /^wherry: "\.\.\/\.\.\/etc" is no cluster name: .*\n$/);
    assert.ok(!readFileSync(scene.kubeconfig, 'utf8').includes('etc'));
  });
}

/** With `kubectl proxy`, for requests that kubectl itself would not send. @param use gets the address to send them to */
async function throughProxy({ kubectlPath, env }: Scene, use: (server: string) => Promise<void>): Promise<void> {
  const proxy = start(kubectlPath, ['proxy', '--port=0'], env);
  try {
    const [, address] = await eventually(
      'the proxy listens',
      async () => /Starting to serve on (\S+)/.exec(proxy.output()) ?? [],
      ([, found]) => found !== undefined,
    );
    await use(`http://${address}`);
  } finally {
    await proxy.interrupt();
  }
}
