/** What a user does on the first day, line by line: the README's lines as they stand there, and the everyday ones that follow. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { referenceBinary } from '#testkit/reference.ts';
import type { Scene } from './scene.ts';
import { eventually, start, untilReady } from './shell.ts';

export async function userSteps(scene: Scene): Promise<void> {
  await firstPod(scene);
  await applyAndChange(scene);
  await imagesOfOnesOwn(scene);
  await lookAndLeave(scene);
}

async function firstPod(scene: Scene): Promise<void> {
  const { step, env, cluster, parts, kubectl, refused, doc, startDoc, pods } = scene;
  await step('up: phases with times, then the exact next command', async () => {
    scene.up = startDoc('npx wherry up', { more: [...cluster, ...parts.upFlags] });
    await untilReady(scene.up);
    const said = scene.up.output();
    for (const phase of parts.phases) assert.match(said, new RegExp(`✓ ${phase} +\\d+ ms`));
    const [, next] = /\n\n {2}(.*)\n/.exec(said) ?? [];
    assert.equal(next, 'kubectl create deployment hello --image=wherry/hello:1 --replicas=2');
  });
  await step('get nodes: Ready', async () => {
    assert.match(await doc('kubectl get nodes'), /\sReady\s.*v1\.36\.\d+\+wherry/);
  });
  await step('create deployment, from an image that is built in, without a network', async () => {
    assert.equal(
      await doc('kubectl create deployment hello --image=wherry/hello:1 --replicas=2'),
      'deployment.apps/hello created\n',
    );
  });
  await step('expose', async () => {
    assert.equal(await doc('kubectl expose deployment hello --port=80'), 'service/hello exposed\n');
  });
  await step('rollout status', async () => {
    assert.match(await doc('kubectl rollout status deployment/hello'), /successfully rolled out/);
  });
  await step('get pods -o wide', async () => {
    const rows = (await doc('kubectl get pods -o wide')).trim().split('\n');
    assert.match(rows[0]!, /^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES$/);
    assert.equal(rows.length, 3);
    for (const row of rows.slice(1)) assert.match(row, /^hello-\S+ +1\/1 +Running +0 +\S+ +10\.244\.\d+\.\d+ +\S+/);
  });
  await step('get pods -o wide -w, while the deployment is scaled to 5', async () => {
    const watching = start(scene.kubectlPath, ['get', 'pods', '-o', 'wide', '-w'], env);
    const running = () => new Set(watching.output().match(/^hello-\S+(?= +1\/1 +Running)/gm) ?? []).size;
    await eventually(
      'the watch shows two',
      async () => running(),
      (count) => count === 2,
    );
    assert.equal(await doc('kubectl scale deployment/hello --replicas=5'), 'deployment.apps/hello scaled\n');
    await eventually(
      'the watch shows five',
      async () => running(),
      (count) => count === 5,
    );
    assert.match(watching.output(), /^hello-\S+ +0\/1 +ContainerCreating/m);
    await watching.interrupt();
    await kubectl('rollout', 'status', 'deployment/hello', '--timeout=30s');
    assert.equal((await pods('-l', 'app=hello')).length, 5);
  });
  await step('exec wget: the service by its name, through DNS and the service address', async () => {
    const page = await eventually(
      'the service answers',
      () => doc('kubectl exec deploy/hello -- wget -qO- http://hello.default.svc.cluster.local'),
      (text) => text.includes('Hello from hello-'),
    );
    assert.match(page, /<title>hello-/);
  });
  await step('logs, and logs -f that goes on', async () => {
    assert.match(await kubectl('logs', 'deploy/hello'), /serves on port 80/);
    const following = startDoc('kubectl logs -f deploy/hello');
    await eventually(
      'a request to one of the five is in the log of the one',
      async () => {
        // Not there: the answer is 404.
        await refused('exec', 'deploy/hello', '--', 'wget', '-qO-', 'http://hello/followed');
        return following.output();
      },
      (text) => text.includes('followed'),
    );
    assert.equal(following.child.exitCode, null);
    await following.interrupt();
  });
  await step('exec -it sh: a shell on a terminal', async () => {
    using terminal = scene.docOnTerminal('kubectl exec -it deploy/hello -- sh');
    const shows = (what: string, text: string) =>
      eventually(
        what,
        async () => terminal.output(),
        (output) => output.includes(text),
      );
    await shows('a prompt', '#');
    terminal.type('echo one $((1+1)); id\r');
    await shows('what was asked', 'one 2');
    await shows('who it is', 'uid=0');
    terminal.type('exit 3\r');
    assert.equal(await terminal.ended, 3, terminal.output());
  });
}

async function applyAndChange({ step, root, kubectl, pods, refused, waitingReasons }: Scene): Promise<void> {
  const file = join(root, 'e2e/app.yaml');
  const inWeb = (...command: string[]) => kubectl('-n', 'app', 'exec', 'deploy/web', '-c', 'web', '--', ...command);
  await step('apply: namespace, config map, secret, deployment with both mounted, service', async () => {
    const said = await kubectl('apply', '-f', file);
    assert.equal(said.split('\n').filter((line) => line.endsWith(' created')).length, 5);
    await kubectl('-n', 'app', 'rollout', 'status', 'deploy/web', '--timeout=60s');
    const read = await inWeb('cat', '/conf/file.txt', '/secret/password', '/work/ready');
    assert.equal(read, 'some text\ns3cretprepared\n');
    assert.match(await inWeb('env'), /GREETING=hello/);
    assert.match(await inWeb('wget', '-qO-', 'http://web'), /Hello from web-/);
  });
  await step('apply again changes nothing', async () => {
    const said = await kubectl('apply', '-f', file);
    assert.equal(said.split('\n').filter((line) => line.endsWith(' unchanged')).length, 5, said);
  });
  const image = () => kubectl('get', 'deployment', 'hello', '-o', 'jsonpath={..containers[0].image}');
  await step('set image, to one that is nowhere: the old pods go on', async () => {
    await kubectl('set', 'image', 'deployment/hello', 'hello=wherry/hello:2');
    await eventually(
      'a pod waits for its image',
      () => waitingReasons('app=hello'),
      (reasons) => reasons.some((reason) => reason === 'ErrImagePull' || reason === 'ImagePullBackOff'),
    );
    assert.equal(await image(), 'wherry/hello:2');
    assert.match(await kubectl('exec', 'deploy/hello', '--', 'wget', '-qO-', 'http://hello'), /Hello from/);
  });
  await step('rollout undo', async () => {
    assert.equal(await kubectl('rollout', 'undo', 'deployment/hello'), 'deployment.apps/hello rolled back\n');
    await kubectl('rollout', 'status', 'deployment/hello', '--timeout=60s');
    assert.equal(await image(), 'wherry/hello:1');
    await eventually(
      'all of one kind',
      () => waitingReasons('app=hello'),
      (reasons) => reasons.length === 5 && reasons.every((reason) => reason === 'Running'),
    );
    assert.match(await kubectl('rollout', 'history', 'deployment/hello'), /\n2 .*\n3 /);
  });
  await step('describe', async () => {
    assert.match(await kubectl('describe', 'deployment', 'hello'), /NewReplicaSetAvailable[\s\S]*ScalingReplicaSet/);
    // Of one pod: newer kubectls leave the events of many out. Events are written in the background.
    const [web] = await pods('-n', 'app');
    await eventually(
      'the events are told',
      () => kubectl('-n', 'app', 'describe', 'pod', web!.metadata.name),
      (text) => /QoS Class: +Burstable[\s\S]*Container started/.test(text),
    );
    assert.match(await kubectl('describe', 'node'), /Non-terminated Pods: +\(7 in total\)/);
  });
  await step('delete: a namespace goes with everything in it', async () => {
    await kubectl('delete', 'namespace', 'app', '--timeout=60s');
    assert.match(await refused('get', 'namespace', 'app'), /namespaces "app" not found/);
  });
}

async function imagesOfOnesOwn({
  step,
  home,
  doc,
  tool,
  kubectl,
  pods,
  parts,
  containerdSocket,
}: Scene): Promise<void> {
  await step('image pack, and a deployment of it', async () => {
    const folder = join(home, 'image');
    mkdirSync(join(folder, 'bin'), { recursive: true });
    writeFileSync(join(folder, 'note.txt'), 'packed by us\n');
    const busybox = readFileSync(referenceBinary('busybox-static', 'busybox'));
    writeFileSync(join(folder, 'bin/busybox'), busybox, { mode: 0o755 });
    for (const applet of ['sh', 'sleep', 'cat']) symlinkSync('busybox', join(folder, 'bin', applet));
    const script = '#!/bin/sh\ntrap "exit 0" TERM\necho "asked to $1"\nwhile :; do sleep 1; done\n';
    writeFileSync(join(folder, 'app'), script, { mode: 0o755 });
    const archive = join(home, 'app.tar');
    // A daemon that is not ours loads an archive.
    const target = parts.loadArchive === undefined ? ['--address', containerdSocket] : ['--output', archive];
    const packs = { words: { DIR: folder }, more: target };
    await doc('npx wherry image pack DIR --name local/app:1 --entrypoint /app --cmd serve', packs);
    await parts.loadArchive?.(archive);
    await doc('kubectl create deployment app --image=local/app:1');
    await kubectl('rollout', 'status', 'deployment/app', '--timeout=30s');
    assert.equal(await kubectl('exec', 'deploy/app', '--', 'cat', '/note.txt'), 'packed by us\n');
    assert.equal(await kubectl('logs', 'deploy/app'), 'asked to serve\n');
  });
  if (parts.loadArchive === undefined)
    await step('image ls: the built-in one and the packed one', async () => {
      const said = await doc('npx wherry image ls', { more: ['--address', containerdSocket] });
      assert.match(said, /^IMAGE +TAG/);
      assert.match(said, /wherry\/hello +1 /);
      assert.match(said, /local\/app +1 /);
    });
  await step('delete: a deployment goes with its pods', async () => {
    assert.equal(
      await kubectl('delete', 'deployment', 'app', '--timeout=30s'),
      'deployment.apps "app" deleted from default namespace\n',
    );
    await eventually(
      'its pods are gone',
      () => pods('-l', 'app=app'),
      (list) => list.length === 0,
    );
    if (parts.loadArchive === undefined) await tool('image', 'rm', 'local/app:1', '--address', containerdSocket);
  });
}

async function lookAndLeave(scene: Scene): Promise<void> {
  const { step, doc, kubectl, pods, cluster } = scene;
  await step('status', async () => {
    const said = await doc('npx wherry status', { more: cluster });
    assert.match(said, /^nodes +\S+ Ready$/m);
    assert.match(said, /^pods +5 Running$/m);
    assert.match(said, /^memory +\d+ MiB$/m);
  });
  await step('why: who wrote a pod, and what made them', async () => {
    const [pod] = await pods('-l', 'app=hello');
    const why = await doc('npx wherry why pod/NAME', { words: { NAME: pod!.metadata.name }, more: cluster });
    assert.match(why, /replicaset-controller\s+because ReplicaSet default\/hello-/);
  });
  await step('kubeconfig: the administrator of the cluster', async () => {
    const path = join(scene.home, 'printed');
    writeFileSync(path, await doc('npx wherry kubeconfig', { more: cluster }));
    assert.match(await kubectl('--kubeconfig', path, 'auth', 'whoami'), /kubernetes-admin|system:masters/);
  });
  await step('Ctrl-C ends it, up again: the data is there and the pods run', async () => {
    // npx itself ends by the signal.
    await scene.up.interrupt();
    assert.match(scene.up.output(), /stopped; `wherry up` resumes/);
    await scene.startUp();
    await servesAgain();
  });
  await step('stop ends it with exit code 0, up again', async () => {
    await doc('npx wherry stop', { more: cluster });
    assert.equal(await scene.up.ended, 0, scene.up.output());
    await scene.startUp();
    await servesAgain();
  });
  async function servesAgain(): Promise<void> {
    await kubectl('rollout', 'status', 'deployment/hello', '--timeout=60s');
    await eventually(
      'the service answers again',
      () => kubectl('exec', 'deploy/hello', '--', 'wget', '-qO-', 'http://hello'),
      (text) => text.includes('Hello from'),
    );
    assert.equal((await pods('-l', 'app=hello')).length, 5);
  }
}
