/** Steps of `@kubernetes/client-node`, unchanged, with the kubeconfig that `wherry up` wrote: exec, logs and an informer on real pods. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { CoreV1Api, Exec, KubeConfig, Log, makeInformer, type V1Status } from '@kubernetes/client-node';
import { eventually } from './shell.ts';
import type { Steps } from './steps.ts';

const namespace = 'default';

/** @param kubeconfig path of the file; deployment `hello` must be there */
export async function clientNodeSteps({ step }: Pick<Steps, 'step'>, kubeconfig: string): Promise<void> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const core = config.makeApiClient(CoreV1Api);
  const helloPod = async () => {
    const { items } = await core.listNamespacedPod({ namespace, labelSelector: 'app=hello' });
    return items[0]!.metadata!.name!;
  };

  await step('client-node: exec with input, output, errors and the exit code', async () => {
    const stdout = capture();
    const stderr = capture();
    const status = await new Promise<V1Status>((resolve, reject) => {
      const command = ['sh', '-c', 'read line; echo "got $line"; echo oops >&2; exit 3'];
      const input = Readable.from(['a line\n']);
      helloPod()
        .then((pod) =>
          new Exec(config).exec(namespace, pod, 'hello', command, stdout.stream, stderr.stream, input, false, resolve),
        )
        .catch(reject);
      setTimeout(() => reject(new Error('no status within 10 s')), 10_000).unref();
    });
    assert.deepEqual([stdout.text(), stderr.text()], ['got a line\n', 'oops\n']);
    assert.equal(status.status, 'Failure');
    assert.deepEqual(status.details?.causes, [{ reason: 'ExitCode', message: '3' }]);
  });
  await step('client-node: logs, followed to the end of the container', async () => {
    const out = capture();
    const command = ['sh', '-c', 'echo first; sleep 1; echo last'];
    const spec = { restartPolicy: 'Never', containers: [{ name: 'talker', image: 'wherry/hello:1', command }] };
    await core.createNamespacedPod({ namespace, body: { metadata: { name: 'talker' }, spec } });
    await eventually(
      'the pod runs',
      () => core.readNamespacedPod({ namespace, name: 'talker' }),
      ({ status }) => status?.phase === 'Running',
    );
    const ended = once(out.stream, 'end', { signal: AbortSignal.timeout(10_000) });
    await new Log(config).log(namespace, 'talker', 'talker', out.stream, { follow: true });
    await ended;
    assert.equal(out.text(), 'first\nlast\n');
    await core.deleteNamespacedPod({ namespace, name: 'talker' });
  });
  await step('client-node: an informer sees a pod come, run and go', async () => {
    const seen: string[] = [];
    const list = () => core.listNamespacedPod({ namespace, labelSelector: 'run=watched' });
    const informer = makeInformer(config, `/api/v1/namespaces/${namespace}/pods`, list, 'run=watched');
    informer.on('add', ({ metadata }) => seen.push(`add ${metadata?.name}`));
    informer.on('update', ({ status }) => seen.push(`update ${status?.phase}`));
    informer.on('delete', ({ metadata }) => seen.push(`delete ${metadata?.name}`));
    await informer.start();
    const sees = (what: string) =>
      eventually(
        `the informer sees ${what}`,
        async () => seen,
        (list) => list.includes(what),
      );
    try {
      const containers = [{ name: 'watched', image: 'wherry/hello:1' }];
      await core.createNamespacedPod({
        namespace,
        body: { metadata: { name: 'watched', labels: { run: 'watched' } }, spec: { containers } },
      });
      await sees('add watched');
      await sees('update Running');
      assert.equal(informer.get('watched', namespace)?.status?.phase, 'Running');
      await core.deleteNamespacedPod({ namespace, name: 'watched', gracePeriodSeconds: 1 });
      await sees('delete watched');
      assert.equal(informer.get('watched', namespace), undefined);
    } finally {
      await informer.stop();
    }
  });
}

function capture(): { readonly stream: PassThrough; readonly text: () => string } {
  const stream = new PassThrough();
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  return { stream, text: () => text };
}
