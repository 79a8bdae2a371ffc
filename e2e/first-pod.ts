/**
 * From an empty machine to a real pod and back: every line of what a user does, then bad days, with the real kubectl on real containers, in
 * namespaces of its own. Needs root and the reference packages.
 *
 *     bin/node e2e/first-pod.ts [--parts=ours|etcd|containerd]
 *
 * `--parts` puts Debian's etcd, or Debian's containerd, in the place of ours.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bridgeOf } from '#cluster/real-node.ts';
import { assertInventory, takeInventory } from '#testkit/inventory.ts';
import { referenceBinary } from '#testkit/reference.ts';
import { clientNodeSteps } from './client-node-steps.ts';
import { enterOwnNamespaces } from './own-namespaces.ts';
import { type KindOfParts, kindsOfParts, startParts } from './parts.ts';
import { registrySteps } from './registry-steps.ts';
import { eventually, type Running, run, start } from './shell.ts';
import { createSteps } from './steps.ts';
import { streamingSteps } from './streaming-steps.ts';

enterOwnNamespaces();

const { values } = parseArgs({ options: { parts: { type: 'string', default: 'ours' } } });
const kind = values.parts as KindOfParts;
if (!kindsOfParts.includes(kind)) throw new Error(`--parts=${kind}: use one of ${kindsOfParts.join(', ')}`);
const root = new URL('..', import.meta.url).pathname;
const wherry = join(root, 'bin/wherry');
const home = mkdtempSync(join(tmpdir(), 'wherry-e2e-'));
const name = `e2e${process.pid % 10_000}`;
const kubeconfig = join(home, 'kubeconfig');
const dataDir = join(home, 'data');
const env = { HOME: home, KUBECONFIG: kubeconfig };
const cluster = ['--name', name, '--data-dir', dataDir];
const kubectlPath = referenceBinary('kubectl', 'kubectl');
const mine = { only: (text: string) => text.includes(name) || text.includes(home) };
const { step, finish } = createSteps();

const kubectl = async (...args: string[]) => (await run(kubectlPath, args, { env })).stdout;
const refused = async (...args: string[]) => {
  const { code, stderr } = await run(kubectlPath, args, { env, mayFail: true });
  assert.notEqual(code, 0, `kubectl ${args.join(' ')} was to fail`);
  return stderr;
};
const tool = async (...args: string[]) => (await run(wherry, args, { env })).stdout;
let up: Running;

async function startUp(...more: string[]): Promise<void> {
  up = start(wherry, ['up', ...cluster, ...parts.upFlags, ...more], env);
  await eventually(
    'up is ready',
    async () => up.output(),
    (text) => {
      if (up.child.exitCode !== null) throw new Error(`up ended: ${text}`);
      return text.includes('ready in');
    },
    60_000,
  );
}

interface PodList {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly status: {
      readonly phase: string;
      readonly containerStatuses?: readonly {
        readonly restartCount: number;
        readonly state: { readonly waiting?: { readonly reason?: string }; readonly running?: object };
      }[];
    };
  }[];
}
const pods = async (...args: string[]) =>
  (JSON.parse(await kubectl('get', 'pods', '-o', 'json', ...args)) as PodList).items;
const waitingReason = async (selector: string) =>
  (await pods('-l', selector)).map(
    (pod) => pod.status.containerStatuses?.[0]?.state.waiting?.reason ?? pod.status.phase,
  );

const before = takeInventory(mine);
const parts = await startParts(kind, { home, wherry, bridge: bridgeOf(name), podCidr: '10.244.0.0/24' });
try {
  await whatAUserDoes();
  await registrySteps({ step }, kubectl);
  await clientNodeSteps({ step }, kubeconfig);
  await badDays();
  await streamingSteps({ step }, kubectlPath, env);
} finally {
  await step('down --purge: nothing is left in the kernel or on the disk', async () => {
    await tool('down', '--purge', ...cluster, ...parts.downFlags);
    await parts[Symbol.asyncDispose]();
    await assertInventory(before, mine);
    assert.ok(!readFileSync(kubeconfig, 'utf8').includes(`wherry-${name}`), 'the context is gone');
    rmSync(home, { recursive: true });
  });
}
process.exitCode = finish();

async function whatAUserDoes(): Promise<void> {
  await step('up: phases with times, then the exact next command', async () => {
    await startUp();
    assert.match(up.output(), /✓ apiserver +\d+ ms/);
    assert.match(up.output(), /kubectl create deployment hello --image=wherry\/hello:1 --replicas=2/);
  });
  await step('get nodes: Ready', async () => {
    assert.match(await kubectl('get', 'nodes'), /\sReady\s.*v1\.36\.\d+\+wherry/);
  });
  await step('create deployment, from an image that is built in', async () => {
    assert.equal(
      await kubectl('create', 'deployment', 'hello', '--image=wherry/hello:1', '--replicas=2'),
      'deployment.apps/hello created\n',
    );
  });
  await step('expose', async () => {
    assert.equal(await kubectl('expose', 'deployment', 'hello', '--port=80'), 'service/hello exposed\n');
  });
  await step('rollout status', async () => {
    assert.match(await kubectl('rollout', 'status', 'deployment/hello', '--timeout=30s'), /successfully rolled out/);
  });
  await step('get pods -o wide, and a watch that sees them', async () => {
    assert.match(await kubectl('get', 'pods', '-o', 'wide'), /hello-\S+\s+1\/1\s+Running\s+0\s+\S+\s+10\.244\./);
    const watching = start(kubectlPath, ['get', 'pods', '-w'], env);
    await eventually(
      'the watch shows pods',
      async () => watching.output(),
      (text) => text.includes('Running'),
    );
    watching.child.kill();
    await watching.ended;
  });
  await step('scale to 5', async () => {
    await kubectl('scale', 'deployment/hello', '--replicas=5');
    await kubectl('rollout', 'status', 'deployment/hello', '--timeout=30s');
    assert.equal((await pods('-l', 'app=hello')).length, 5);
  });
  await step('exec wget: the service by its name, through DNS and the service address', async () => {
    const page = await eventually(
      'the service answers',
      () => kubectl('exec', 'deploy/hello', '--', 'wget', '-qO-', 'http://hello.default.svc.cluster.local'),
      (text) => text.includes('Hello from hello-'),
    );
    assert.match(page, /<title>hello-/);
  });
  await step('logs, and logs -f', async () => {
    assert.match(await kubectl('logs', 'deploy/hello'), /serves on port 80/);
    const following = start(kubectlPath, ['logs', '-f', '--prefix', '-l', 'app=hello'], env);
    // Not there: the answer is 404, and the request is in the log.
    await refused('exec', 'deploy/hello', '--', 'wget', '-qO-', 'http://hello/followed');
    await eventually(
      'the request is in the log',
      async () => following.output(),
      (text) => text.includes('followed'),
    );
    following.child.kill();
    await following.ended;
  });
  await step('exec -i sh: a shell with input', async () => {
    const { stdout } = await run(kubectlPath, ['exec', '-i', 'deploy/hello', '--', 'sh'], {
      env,
      input: 'echo one two\nid\nexit 0\n',
    });
    assert.match(stdout, /one two\n[\s\S]*uid=0/);
  });
  await step('exec tells the exit code', async () => {
    const { code } = await run(kubectlPath, ['exec', 'deploy/hello', '--', 'sh', '-c', 'exit 7'], {
      env,
      mayFail: true,
    });
    assert.equal(code, 7);
  });
  await step('apply: namespace, config map, secret, deployment with both mounted, service', async () => {
    const said = await kubectl('apply', '-f', join(root, 'e2e/app.yaml'));
    assert.equal(said.split('\n').filter((line) => line.endsWith(' created')).length, 5);
    await kubectl('-n', 'app', 'rollout', 'status', 'deploy/web', '--timeout=60s');
    const read = await kubectl(
      '-n',
      'app',
      'exec',
      'deploy/web',
      '-c',
      'web',
      '--',
      'cat',
      '/conf/file.txt',
      '/secret/password',
      '/work/ready',
    );
    assert.equal(read, 'some text\ns3cretprepared\n');
    assert.match(await kubectl('-n', 'app', 'exec', 'deploy/web', '-c', 'web', '--', 'env'), /GREETING=hello/);
  });
  await step('apply again changes nothing', async () => {
    const said = await kubectl('apply', '-f', join(root, 'e2e/app.yaml'));
    assert.equal(said.split('\n').filter((line) => line.endsWith(' unchanged')).length, 5, said);
  });
  await step('set image, rollout undo', async () => {
    await kubectl('set', 'image', 'deployment/hello', 'hello=wherry/hello:2');
    await eventually(
      'a pod waits for its image',
      () => waitingReason('app=hello'),
      (reasons) => reasons.some((reason) => reason === 'ErrImagePull' || reason === 'ImagePullBackOff'),
    );
    await kubectl('rollout', 'undo', 'deployment/hello');
    await kubectl('rollout', 'status', 'deployment/hello', '--timeout=60s');
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
  });
  await step('image pack, and a deployment of it', async () => {
    const folder = join(home, 'image');
    mkdirSync(folder);
    writeFileSync(join(folder, 'note.txt'), 'packed by us\n');
    const busybox = readFileSync(referenceBinary('busybox-static', 'busybox'));
    writeFileSync(join(folder, 'busybox'), busybox, { mode: 0o755 });
    const image = ['--name', 'local/note:1', '--entrypoint', '/busybox', '--cmd', 'sleep', '--cmd', '1000'];
    const socket = join('/run/wherry', name, 'containerd.sock');
    if (parts.loadArchive === undefined) await tool('image', 'pack', folder, '--address', socket, ...image);
    else {
      const archive = join(home, 'note.tar');
      await tool('image', 'pack', folder, '--output', archive, ...image);
      await parts.loadArchive(archive);
    }
    await kubectl('create', 'deployment', 'note', '--image=local/note:1');
    await kubectl('rollout', 'status', 'deployment/note', '--timeout=30s');
    assert.equal(await kubectl('exec', 'deploy/note', '--', '/busybox', 'cat', '/note.txt'), 'packed by us\n');
    if (parts.loadArchive === undefined) assert.match(await tool('image', 'ls', '--address', socket), /local\/note/);
  });
  await step('wherry status and wherry why', async () => {
    assert.match(await tool('status', ...cluster), /nodes +\S+ Ready/);
    const [pod] = await pods('-l', 'app=hello');
    const why = await tool('why', `pod/${pod!.metadata.name}`, ...cluster);
    assert.match(why, /replicaset-controller\s+because ReplicaSet default\/hello-/);
  });
  await step('delete: a deployment goes with its pods', async () => {
    await kubectl('delete', 'deployment', 'note', '--timeout=30s');
    // Its program, pid 1, does not listen to SIGTERM.
    await kubectl('delete', 'pods', '-l', 'app=note', '--grace-period=1');
    await eventually(
      'its pods are gone',
      () => pods('-l', 'app=note'),
      (list) => list.length === 0,
    );
  });
  await step('delete: a namespace goes with everything in it', async () => {
    await kubectl('delete', 'namespace', 'app', '--timeout=60s');
    assert.match(await refused('get', 'namespace', 'app'), /namespaces "app" not found/);
  });
  await step('Ctrl-C, up again: the data is there and the pods run', async () => {
    up.child.kill('SIGINT');
    assert.equal(await up.ended, 0, up.output());
    await startUp();
    await kubectl('rollout', 'status', 'deployment/hello', '--timeout=60s');
    await eventually(
      'the service answers again',
      () => kubectl('exec', 'deploy/hello', '--', 'wget', '-qO-', 'http://hello'),
      (text) => text.includes('Hello from'),
    );
  });
}

async function badDays(): Promise<void> {
  await step('kill -9: writes are there, containers ran on and are adopted', async () => {
    await kubectl('create', 'configmap', 'acknowledged', '--from-literal=a=b');
    const pids = () =>
      takeInventory(mine).processes.filter((line) => line.startsWith('/hello') || line.startsWith('/bin/hello'));
    const running = pids();
    up.child.kill('SIGKILL');
    await up.ended;
    await startUp();
    assert.match(await kubectl('get', 'configmap', 'acknowledged', '-o', 'yaml'), /a: b/);
    assert.deepEqual(pids(), running);
    for (const pod of await pods('-l', 'app=hello')) assert.ok(pod.status.containerStatuses?.[0]?.state.running);
  });
  await step('a second up of the same cluster is refused in one line', async () => {
    const { code, stderr } = await run(wherry, ['up', ...cluster], { env, mayFail: true });
    assert.equal(code, 3);
    assert.match(stderr, /^wherry: cluster \S+ is already running \(pid \d+\)/);
  });
  await step('a port that is taken is named', async () => {
    const server = createServer().listen(7443, '127.0.0.1');
    const other = ['--name', `${name}x`, '--data-dir', join(home, 'other'), '--node', 'none', '--port', '7443'];
    const { code, stderr } = await run(wherry, ['up', ...other], { env, mayFail: true });
    server.close();
    assert.equal(code, 3);
    assert.match(
      stderr,
      /^wherry: port 7443 on 127\.0\.0\.1 is taken by another program: choose another with --port\n$/,
    );
  });
  await step('a kubeconfig that is none is left as it is', async () => {
    const broken = join(home, 'broken');
    writeFileSync(broken, 'clusters: [\n');
    const other = [
      '--name',
      `${name}y`,
      '--data-dir',
      join(home, 'other2'),
      '--node',
      'none',
      '--port',
      '7444',
      '--kubeconfig',
      broken,
    ];
    const { code, stderr } = await run(wherry, ['up', ...other], { env, mayFail: true });
    assert.equal(code, 3, stderr);
    assert.match(stderr, /broken is not YAML/);
    assert.equal(readFileSync(broken, 'utf8'), 'clusters: [\n');
  });
  await step('a full disk: one line, and everything acknowledged is there when there is room again', async () => {
    const small = join(home, 'small');
    mkdirSync(small);
    await run('mount', ['-t', 'tmpfs', '-o', 'size=150m', 'tmpfs', small]);
    const other = ['--name', `${name}z`, '--data-dir', join(small, 'data'), '--node', 'none', '--port', '7445'];
    const config = join(home, 'small-kubeconfig');
    const start7445 = async () => {
      const running = start(wherry, ['up', ...other, '--kubeconfig', config], env);
      await eventually(
        'up is ready',
        async () => running.output(),
        (text) => text.includes('ready in'),
      );
      return running;
    };
    const small7445 = (...args: string[]) =>
      run(kubectlPath, ['--kubeconfig', config, ...args], { env, mayFail: true });
    try {
      const first = await start7445();
      assert.equal((await small7445('create', 'configmap', 'kept', '--from-literal=a=b')).code, 0);
      await run('dd', ['if=/dev/zero', `of=${small}/fill`, 'bs=1M'], { mayFail: true });
      const large = join(home, 'fill.txt');
      writeFileSync(large, 'x'.repeat(900_000));
      await eventually(
        'a write is refused',
        () => small7445('create', 'configmap', `m${Date.now()}`, `--from-file=x=${large}`),
        ({ code }) => code !== 0,
      );
      assert.equal(await first.ended, 3);
      assert.match(first.output(), /wherry: the store can write no more: .*no space left on device/);
      rmSync(join(small, 'fill'));
      const second = await start7445();
      assert.match((await small7445('get', 'configmap', 'kept', '-o', 'name')).stdout, /configmap\/kept/);
      second.child.kill('SIGINT');
      await second.ended;
    } finally {
      await run('umount', ['-l', small]);
    }
  });
  await step('an image name that is none', async () => {
    const file = join(home, 'wrong.json');
    const containers = [{ name: 'wrong', image: 'Not/A:Name:At:All' }];
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'wrong', labels: { app: 'wrong' } },
      spec: { containers },
    };
    writeFileSync(file, JSON.stringify(pod));
    await kubectl('create', '-f', file);
    await eventually(
      'the pod says so',
      () => waitingReason('app=wrong'),
      ([reason]) => reason === 'InvalidImageName',
    );
    await kubectl('delete', 'pod', 'wrong');
  });
  await step('a registry that is down', async () => {
    await kubectl('create', 'deployment', 'down', '--image=127.0.0.1:9/nothing:1');
    await eventually(
      'the pod says so',
      () => waitingReason('app=down'),
      ([reason]) => reason === 'ErrImagePull' || reason === 'ImagePullBackOff',
    );
    assert.match(await kubectl('get', 'events'), /Failed to pull image "127\.0\.0\.1:9\/nothing:1"/);
    await kubectl('delete', 'deployment', 'down');
  });
  await step('YAML that is not YAML', async () => {
    const { stderr, code } = await run(kubectlPath, ['apply', '-f', '-'], { env, input: 'a: [\nb: }', mayFail: true });
    assert.equal(code, 1);
    assert.match(stderr, /error/);
  });
  await step('an object of 3 MB', async () => {
    const file = join(home, 'large.json');
    const object = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'large' },
      data: { x: 'y'.repeat(3 << 20) },
    };
    writeFileSync(file, JSON.stringify(object));
    assert.match(
      await refused('create', '-f', file),
      /Request entity too large: limit is 3145728|may not be more than 1048576 bytes/,
    );
  });
  await step('a pod that cannot fit, and why', async () => {
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
  await step('a crash loop', async () => {
    await kubectl('run', 'crash', '--image=wherry/hello:1', '--command', '--', 'sh', '-c', 'echo last words; exit 3');
    const crashing = async () =>
      (JSON.parse(await kubectl('get', 'pod', 'crash', '-o', 'json')) as PodList['items'][number]).status
        .containerStatuses?.[0];
    await eventually('it backs off', crashing, (status) => status?.state.waiting?.reason === 'CrashLoopBackOff');
    assert.match(await kubectl('logs', 'crash'), /last words/);
    assert.match(await kubectl('get', 'events'), /Back-off restarting failed container crash in pod crash/);
    await kubectl('delete', 'pod', 'crash');
  });
  await step('a name that is a path', async () => {
    const file = join(home, 'path.json');
    writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: '../../etc' } }));
    assert.match(await refused('create', '-f', file), /metadata\.name: Invalid value: "\.\.\/\.\.\/etc"/);
  });
}
