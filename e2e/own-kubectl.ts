/**
 * A machine without a kubectl: the same things by `wherry kubectl`, on a real node and on a hollow one, in namespaces of their own. Needs root and the
 * reference packages: where the two kubectls take turns.
 *
 *     bin/node e2e/own-kubectl.ts
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { referenceBinary } from '#testkit/reference.ts';
import { enterOwnNamespaces } from './own-namespaces.ts';
import { eventually, type Running, run, start } from './shell.ts';
import { createSteps } from './steps.ts';
import { startOnTerminal } from './terminal.ts';

const runId = enterOwnNamespaces();

const root = new URL('..', import.meta.url).pathname;
const wherry = join(root, 'bin/wherry');
const home = mkdtempSync(join(tmpdir(), 'wherry-kubectl-'));
const env = { HOME: home, KUBECONFIG: join(home, 'kubeconfig') };
const { step, finish } = createSteps();
const kubectl = async (...args: string[]) => (await run(wherry, ['kubectl', ...args], { env })).stdout;
const ready = () =>
  eventually(
    'up is ready',
    async () => up.output(),
    (text) => text.includes('ready in'),
    60_000,
  );
let up: Running;

const real = ['--name', `own${runId}`, '--data-dir', join(home, 'real')];
await step('up with a real node, get nodes', async () => {
  up = start(wherry, ['up', ...real], env);
  await ready();
  assert.match(await kubectl('get', 'nodes', '-o', 'wide'), /^NAME +STATUS[^\n]*\n\S+ +Ready /);
});
await step('create, get, describe', async () => {
  assert.equal(
    await kubectl('create', 'deployment', 'hello', '--image=wherry/hello:1', '--replicas=2'),
    'deployment.apps/hello created\n',
  );
  await eventually(
    'both run',
    () => kubectl('get', 'pods'),
    (text) => (text.match(/1\/1 +Running/g) ?? []).length === 2,
  );
  assert.match(await kubectl('describe', 'deployment', 'hello'), /ScalingReplicaSet/);
  assert.match(await kubectl('get', 'deploy', 'hello', '-o', 'yaml'), /replicas: 2/);
});
await step('logs and exec, with input and exit code', async () => {
  // Running is said when the process is there; its first line follows.
  await eventually(
    'it serves',
    () => kubectl('logs', 'deploy/hello'),
    (text) => text.includes('serves on port 80'),
  );
  assert.match(await kubectl('exec', 'deploy/hello', '--', 'wget', '-qO-', 'http://localhost'), /Hello from/);
  const { stdout, code } = await run(wherry, ['kubectl', 'exec', '-i', 'deploy/hello', '--', 'sh'], {
    env,
    input: 'echo said\nexit 5\n',
    mayFail: true,
  });
  assert.equal(stdout, 'said\n');
  assert.equal(code, 5);
});
await step('get -w and logs -f go on until Ctrl-C', async () => {
  const watching = start(wherry, ['kubectl', 'get', 'pods', '-w'], env);
  const following = start(wherry, ['kubectl', 'logs', '-f', 'deploy/hello'], env);
  await eventually(
    'what is there',
    async () => [watching.output(), following.output()].join(),
    (text) => /hello-\S+ +1\/1 +Running/.test(text) && text.includes('serves on port 80'),
  );
  const pods = await kubectl('get', 'pods', '-o', 'name');
  const [first] = pods.trim().split('\n');
  await kubectl('delete', first!, '--wait=false');
  await eventually(
    'a pod goes and another comes',
    async () => watching.output(),
    (text) => text.includes('Terminating') && text.includes('ContainerCreating'),
  );
  const other = await eventually(
    'both run',
    () => kubectl('get', 'pods'),
    (text) => (text.match(/1\/1 +Running/g) ?? []).length === 2,
  );
  assert.ok(!other.includes(first!.replace('pod/', '')));
  for (const running of [watching, following]) await running.interrupt();
});
await step('exec -it: a shell on a terminal', async () => {
  using terminal = startOnTerminal(wherry, ['kubectl', 'exec', '-it', 'deploy/hello', '--', 'sh'], env);
  const shows = (text: string) =>
    eventually(
      text,
      async () => terminal.output(),
      (output) => output.includes(text),
    );
  await shows('#');
  terminal.type('echo so $((40+2))\r');
  await shows('so 42');
  terminal.type('exit 4\r');
  assert.equal(await terminal.ended, 4, terminal.output());
});
await step('apply, again while controllers write, by the other kubectl, and changed', async () => {
  const file = join(root, 'e2e/app.yaml');
  const lines = async (said: Promise<string>, word: string) =>
    (await said).split('\n').filter((line) => line.endsWith(` ${word}`));
  assert.equal((await lines(kubectl('apply', '-f', file), 'created')).length, 5);
  assert.equal((await lines(kubectl('apply', '-f', file), 'unchanged')).length, 5);
  const upstream = async () =>
    (await run(referenceBinary('kubectl', 'kubectl'), ['apply', '-f', file], { env })).stdout;
  assert.equal((await lines(upstream(), 'unchanged')).length, 5);
  const changed = join(home, 'changed.yaml');
  writeFileSync(changed, readFileSync(file, 'utf8').replace('greeting: hello', 'greeting: good day'));
  assert.deepEqual(await lines(kubectl('apply', '-f', changed), 'configured'), ['configmap/conf configured']);
  assert.deepEqual(await lines(upstream(), 'configured'), ['configmap/conf configured']);
  await eventually(
    'its pods run',
    () => kubectl('-n', 'app', 'get', 'deploy', 'web'),
    (text) => text.includes('2/2'),
  );
});
await step('delete', async () => {
  assert.match(await kubectl('delete', '-f', join(root, 'e2e/app.yaml')), /namespace "app" deleted/);
  assert.equal(
    await kubectl('delete', 'deployment', 'hello'),
    'deployment.apps "hello" deleted from default namespace\n',
  );
  const { stderr, code } = await run(wherry, ['kubectl', 'get', 'deployment', 'hello'], { env, mayFail: true });
  assert.equal(stderr, 'Error from server (NotFound): deployments.apps "hello" not found\n');
  assert.equal(code, 1);
});
await step('down', async () => {
  await run(wherry, ['down', '--purge', ...real], { env });
  assert.equal(await up.ended, 0);
});

const hollow = ['--name', 'hollow', '--data-dir', join(home, 'hollow')];
await step('a hollow node runs pods without containers', async () => {
  up = start(wherry, ['up', ...hollow, '--node', 'hollow'], env);
  await ready();
  await kubectl('create', 'deployment', 'hello', '--image=any/image:1', '--replicas=20');
  await eventually(
    'all run',
    () => kubectl('get', 'deploy', 'hello'),
    (text) => text.includes('20/20'),
  );
});
await step('down, and nothing is left', async () => {
  await run(wherry, ['down', '--purge', ...hollow], { env });
  assert.equal(await up.ended, 0);
  rmSync(home, { recursive: true });
});
process.exitCode = finish();
