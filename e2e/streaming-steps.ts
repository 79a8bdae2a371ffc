/** Steps of streams between a user's terminal and a pod: exec with a terminal, attach, run -it, port-forward; over WebSockets and over SPDY. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { MediaType } from '#api-oci/image-spec.ts';
import { referenceBinary } from '#testkit/reference.ts';
import { makeLayer, pushImage, startRegistry } from '#testkit/registry-process.ts';
import { eventually, run, start } from './shell.ts';
import type { Steps } from './steps.ts';
import { startOnTerminal } from './terminal.ts';

/** Over WebSockets, as kubectl asks first, and over SPDY, as older ones and kube-apiserver do. */
const wires = [
  ['WebSocket', {}],
  ['SPDY', { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false', KUBECTL_PORT_FORWARD_WEBSOCKETS: 'false' }],
] as const;

/** @param kubectlPath the real one; `env` points it at the cluster */
export async function streamingSteps(
  { step }: Pick<Steps, 'step'>,
  kubectlPath: string,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  await using registry = await startRegistry();
  const image = `${registry.address}/team/talk:1`;
  const tar = makeLayer({
    'bin/busybox': { bytes: readFileSync(referenceBinary('busybox-static', 'busybox')), mode: 0o755 },
    'bin/sh': { link: 'busybox' },
  });
  await pushImage(registry.address, 'team/talk:1', {
    layers: [{ mediaType: MediaType.ociLayer, blob: tar, tar }],
    config: { Cmd: ['/bin/sh'] },
    platform: { os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch },
  });
  const kubectl = async (...args: string[]) => (await run(kubectlPath, args, { env })).stdout;
  await step('a pod to talk to', async () => {
    const script =
      'httpd -f -p 127.0.0.1:8080 -h /www & trap "exit 0" TERM; while read line; do echo "heard $line"; done; while :; do sleep 1; done';
    await kubectl(
      ...['run', 'talk', `--image=${image}`, '--restart=Never', '--stdin', '--leave-stdin-open', '--attach=false'],
      ...['--command', '--', 'sh', '-c', `mkdir /www; echo page > /www/index.html; ${script}`],
    );
    await kubectl('wait', 'pod/talk', '--for=condition=Ready', '--timeout=30s');
  });
  for (const [wire, more] of wires) {
    const wireEnv = { ...env, ...more };
    await step(`exec -i over ${wire}: input, both outputs, the exit code`, async () => {
      const args = ['exec', '-i', 'talk', '--', 'sh', '-c', 'cat; echo err >&2; exit 5'];
      const input = 'x'.repeat(300_000);
      const { code, stdout, stderr } = await run(kubectlPath, args, { env: wireEnv, input, mayFail: true });
      assert.equal(code, 5);
      assert.equal(stdout.length, input.length);
      assert.match(stderr, /^err\n/);
    });
    await step(`exec -it over ${wire}: a terminal that has the size of the user's`, async () => {
      using terminal = startOnTerminal(kubectlPath, ['exec', '-it', 'talk', '--', 'sh'], wireEnv);
      const shows = (what: string, text: string) =>
        eventually(
          what,
          async () => terminal.output(),
          (output) => output.includes(text),
          10_000,
        );
      await shows('a prompt', '#');
      terminal.type('stty size\r');
      await shows('the size', '24 80');
      terminal.resize(101, 33);
      await eventually(
        'the new size',
        async () => {
          terminal.type('stty size\r');
          return terminal.output();
        },
        (output) => output.includes('33 101'),
        10_000,
      );
      terminal.type('exit 4\r');
      assert.equal(await terminal.ended, 4, terminal.output());
    });
    await step(`port-forward over ${wire}: many connections to a port of the pod's loopback`, async () => {
      const forwarding = start(kubectlPath, ['port-forward', 'pod/talk', ':8080'], wireEnv);
      try {
        const [, port] = await eventually(
          'it listens',
          async () => /127\.0\.0\.1:(\d+) -> 8080/.exec(forwarding.output()) ?? [],
          ([, found]) => found !== undefined,
          10_000,
        );
        const pages = await Promise.all(Array.from({ length: 8 }, () => page(`http://127.0.0.1:${port}/`)));
        assert.deepEqual(new Set(pages), new Set(['page\n']));
        assert.equal(forwarding.child.exitCode, null);
      } finally {
        forwarding.child.kill();
        await forwarding.ended;
      }
    });
    await step(`port-forward over ${wire} to a port where nobody listens says so`, async () => {
      const forwarding = start(kubectlPath, ['port-forward', 'pod/talk', ':81'], wireEnv);
      try {
        const [, port] = await eventually(
          'it listens',
          async () => /127\.0\.0\.1:(\d+) -> 81/.exec(forwarding.output()) ?? [],
          ([, found]) => found !== undefined,
          10_000,
        );
        await assert.rejects(page(`http://127.0.0.1:${port}/`));
        await eventually(
          'it is told',
          async () => forwarding.output(),
          (text) => /error forwarding port 81 to pod \w+, uid : .*connection refused/.test(text),
          10_000,
        );
      } finally {
        forwarding.child.kill();
        await forwarding.ended;
      }
    });
    await step(`attach over ${wire}: the program hears and answers, and runs on`, async () => {
      using terminal = startOnTerminal(kubectlPath, ['attach', '-i', 'talk'], wireEnv);
      await eventually(
        'it answers',
        async () => {
          terminal.type('a word\r');
          return terminal.output();
        },
        (output) => output.includes('heard a word'),
        10_000,
      );
      terminal.child.kill('SIGINT');
      await terminal.ended;
      assert.equal(await kubectl('get', 'pod', 'talk', '-o', 'jsonpath={.status.phase}'), 'Running');
    });
    await step(`run -it --rm over ${wire}: a pod for one session`, async () => {
      const name = `once-${wire.toLowerCase()}`;
      const args = ['run', name, '-it', '--rm', '--restart=Never', `--image=${image}`, '--', 'sh'];
      using terminal = startOnTerminal(kubectlPath, args, wireEnv);
      await eventually(
        'a prompt',
        async () => terminal.output(),
        (output) => output.includes('#'),
      );
      terminal.type('echo so$((40+2))\r');
      await eventually(
        'an answer',
        async () => terminal.output(),
        (output) => output.includes('so42'),
      );
      terminal.type('exit\r');
      assert.equal(await terminal.ended, 0, terminal.output());
      assert.match(terminal.output(), new RegExp(`pod "${name}" deleted`));
      assert.equal(await kubectl('get', 'pods', '--field-selector', `metadata.name=${name}`, '-o', 'name'), '');
    });
  }
  await step('the pod goes', async () => {
    await kubectl('delete', 'pod', 'talk', '--grace-period=1');
  });
}

function page(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false, timeout: 5000 }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('end', () => resolve(text));
      response.on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error(`${url} does not answer`)));
    request.on('error', reject);
  });
}
