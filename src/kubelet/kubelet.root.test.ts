/** Pods on the real kernel: our kubelet on our container daemon, network and cgroups, from start to the last trace. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, request as forwardRequest } from 'node:http';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { MediaType } from '#api-oci/image-spec.ts';
import { systemClock } from '#host/clock.ts';
import { systemPrng } from '#host/random.ts';
import type { ApiObject } from '#kube-client/resource-ref.ts';
import { startScheduler } from '#kube-scheduler/start.ts';
import { assertInventory, takeInventory } from '#testkit/inventory.ts';
import { RealKubelet } from '#testkit/real-kubelet.ts';
import { makeLayer, pushImage, startRegistry } from '#testkit/registry-process.ts';
import { SpdyClient } from '#testkit/spdy-client.ts';
import { listen } from '#transport/listen.ts';
import type { Container, Pod } from './pod.ts';

const limit = { timeout: 60_000 };
const image = 'wherry/hello:1';
const core = (resource: string, kind: string) => ({ group: '', version: 'v1', resource, kind, namespaced: true });
const mine = { only: (text: string) => text.includes('wherry-kubelet-test') };
const inventory = takeInventory(mine);
let node: RealKubelet;

before(async () => {
  node = await RealKubelet.start();
});
after(async () => {
  await node[Symbol.asyncDispose]();
  await assertInventory(inventory, mine);
});

/** A container that runs a script. */
const script = (text: string, more: Partial<Container> = {}): Container => ({
  name: 'c',
  image,
  command: ['sh', '-c', text],
  ...more,
});
const status = (pod: Pod, name = 'c') =>
  [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])].find(
    (entry) => entry.name === name,
  );
const phase = (wanted: string) => (pod: Pod) => pod.status?.phase === wanted;
const ready = (pod: Pod) => pod.status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';

test('a pod that fails is restarted, each time later; its logs are kept', limit, async () => {
  await node.run('again', { restartPolicy: 'OnFailure', containers: [script('echo run; exit 3')] });
  const pod = await node.until(
    'again',
    'backing off',
    (seen) => status(seen)?.state.waiting?.reason === 'CrashLoopBackOff',
  );
  const { restartCount, lastState, state } = status(pod)!;
  assert.ok(restartCount >= 1);
  assert.equal(lastState.terminated?.exitCode, 3);
  assert.match(state.waiting!.message!, /^back-off 10s restarting failed container=c pod=again_default\(/);
  assert.equal(pod.status?.phase, 'Running');
  assert.equal(await node.logs('again'), 'run\n');
  assert.equal(await node.logs('again', 'c', 'previous=true'), 'run\n');
  assert.ok((await node.events('again')).some(({ reason }) => reason === 'BackOff'));
  await node.remove('again');
});

test('Never is never: one run, and the pod has failed', limit, async () => {
  await node.run('once', { restartPolicy: 'Never', containers: [script('exit 7')] });
  const pod = await node.until('once', 'failed', phase('Failed'));
  assert.equal(status(pod)?.state.terminated?.exitCode, 7);
  assert.equal(status(pod)?.restartCount, 0);
  await node.remove('once');
});

test('init containers run one after the other before the main ones, on volumes they share', limit, async () => {
  const volumeMounts = [{ name: 'work', mountPath: '/work' }];
  await node.run('init', {
    restartPolicy: 'Never',
    volumes: [{ name: 'work', emptyDir: {} }],
    initContainers: [
      script('echo one > /work/file', { name: 'first', volumeMounts }),
      script('echo two >> /work/file', { name: 'second', volumeMounts }),
    ],
    containers: [script('cat /work/file', { volumeMounts })],
  });
  const pod = await node.until('init', 'succeeded', phase('Succeeded'));
  assert.equal(await node.logs('init'), 'one\ntwo\n');
  assert.deepEqual(
    pod.status?.initContainerStatuses?.map((entry) => entry.state.terminated?.reason),
    ['Completed', 'Completed'],
  );
  await node.remove('init');
});

test('an init container that fails for good ends the pod', limit, async () => {
  await node.run('noinit', {
    restartPolicy: 'Never',
    initContainers: [script('exit 1', { name: 'first' })],
    containers: [script('true')],
  });
  const pod = await node.until('noinit', 'failed', phase('Failed'));
  assert.equal(status(pod)?.state.waiting?.reason, 'PodInitializing');
  await node.remove('noinit');
});

test('probes by http, tcp and exec: ready when they say so, restarted when not alive', limit, async () => {
  const often = { periodSeconds: 1, failureThreshold: 1 };
  await node.run('probed', {
    containers: [
      { name: 'c', image, readinessProbe: { httpGet: { path: '/', port: 80 }, ...often } },
      { name: 'tcp', image, command: ['hello', 'pause'], readinessProbe: { tcpSocket: { port: 81 }, ...often } },
      script('while :; do sleep 1; done', {
        name: 'exec',
        livenessProbe: { exec: { command: ['sh', '-c', 'echo poorly; false'] }, initialDelaySeconds: 1, ...often },
      }),
    ],
  });
  const pod = await node.until(
    'probed',
    'restarted',
    (seen) => status(seen)?.ready && (status(seen, 'exec')?.restartCount ?? 0) > 0,
  );
  assert.equal(status(pod, 'tcp')?.ready, false);
  const told = (await node.events('probed')).map(({ reason, message }) => `${reason}: ${message}`);
  assert.ok(
    told.some((text) => /^Unhealthy: Liveness probe failed: poorly/.test(text)),
    told.join('\n'),
  );
  assert.ok(
    told.some((text) => /^Unhealthy: Readiness probe failed: dial tcp .*:81: connect: connection refused/.test(text)),
    told.join('\n'),
  );
  assert.ok(
    told.some((text) => text === 'Killing: Container exec failed liveness probe, will be restarted'),
    told.join('\n'),
  );
  await node.remove('probed');
});

test('last words: from the file, or from the log when it failed', limit, async () => {
  await node.run('words', {
    restartPolicy: 'Never',
    containers: [
      script('echo said > /dev/termination-log', { name: 'c' }),
      script('echo logged; exit 1', { name: 'log', terminationMessagePolicy: 'FallbackToLogsOnError' }),
      script('echo silent; exit 1', { name: 'silent' }),
    ],
  });
  const pod = await node.until('words', 'failed', phase('Failed'));
  assert.deepEqual(
    ['c', 'log', 'silent'].map((name) => status(pod, name)?.state.terminated?.message),
    ['said\n', 'logged\n', undefined],
  );
  await node.remove('words');
});

test('environment from literals, config maps, secrets, the pod itself and its limits', limit, async () => {
  const create = (resource: string, kind: string, object: object) =>
    node.client.resource(core(resource, kind), 'default').create(object as ApiObject);
  await create('configmaps', 'ConfigMap', { metadata: { name: 'conf' }, data: { A: 'from-map', B: 'b' } });
  await create('secrets', 'Secret', {
    metadata: { name: 'sec' },
    data: { S: Buffer.from('hidden').toString('base64') },
  });
  await node.run(
    'env',
    {
      restartPolicy: 'Never',
      containers: [
        script('env', {
          resources: { limits: { memory: '64Mi' } },
          envFrom: [{ configMapRef: { name: 'conf' } }, { prefix: 'X_', secretRef: { name: 'sec' } }],
          env: [
            { name: 'PLAIN', value: 'p' },
            { name: 'JOINED', value: '$(PLAIN)-$(A)' },
            { name: 'KEY', valueFrom: { configMapKeyRef: { name: 'conf', key: 'B' } } },
            { name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
            { name: 'LABEL', valueFrom: { fieldRef: { fieldPath: "metadata.labels['l']" } } },
            { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
            { name: 'LIMIT', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } } },
          ],
        }),
      ],
    },
    { labels: { l: 'v' } },
  );
  const pod = await node.until('env', 'succeeded', phase('Succeeded'));
  const lines = (await node.logs('env')).split('\n');
  for (const line of [
    'A=from-map',
    'B=b',
    'X_S=hidden',
    'PLAIN=p',
    'JOINED=p-from-map',
    'KEY=b',
    'NAME=env',
    'LABEL=v',
    'LIMIT=64',
    `IP=${pod.status?.podIP}`,
  ])
    assert.ok(lines.includes(line), `${line} in ${lines}`);
  await node.remove('env');
});

test('limits of memory and processor stand in the cgroup', limit, async () => {
  await node.run('limits', {
    containers: [
      { name: 'c', image, resources: { limits: { memory: '48Mi', cpu: '250m' }, requests: { cpu: '100m' } } },
    ],
  });
  await node.until('limits', 'ready', ready);
  const { container } = await ownProcess('limits');
  const paths = new Map(
    readFileSync(`/proc/${container}/cgroup`, 'utf8')
      .trim()
      .split('\n')
      .flatMap((line) =>
        line
          .split(':')[1]!
          .split(',')
          .map((name) => [name, line.split(':')[2]!] as const),
      ),
  );
  const unified = paths.has('memory') ? undefined : paths.get('');
  const read = (controller: string, v1: string, v2: string) =>
    readFileSync(
      unified === undefined
        ? `/sys/fs/cgroup/${controller}${paths.get(controller)}/${v1}`
        : `/sys/fs/cgroup${unified}/${v2}`,
      'utf8',
    ).trim();
  assert.match(paths.get(unified === undefined ? 'memory' : '')!, /\/kubepods\/burstable\/pod[0-9a-f-]{36}\//);
  assert.equal(read('memory', 'memory.limit_in_bytes', 'memory.max'), String(48 << 20));
  assert.match(read('cpu', 'cpu.cfs_quota_us', 'cpu.max'), /^25000( 100000)?$/);
  await node.remove('limits');
});

/** The pid of a pod's program, by its network namespace's only page server. */
async function ownProcess(name: string): Promise<{ readonly container: string }> {
  const { listContainers, containerStatus } = (await import('#api-cri/gen/api.ts')).RuntimeService.methods;
  const { uid } = (await node.pod(name)).metadata;
  const { containers } = await node.containerd.channel.unary(listContainers, {
    filter: { id: '', state: undefined, podSandboxId: '', labelSelector: new Map([['io.kubernetes.pod.uid', uid]]) },
  });
  const { info } = await node.containerd.channel.unary(containerStatus, {
    containerId: containers[0]!.id,
    verbose: true,
  });
  return { container: String((JSON.parse(info.get('info')!) as { pid: number }).pid) };
}

test('a config map that changes is read anew by a running pod; a subPath is not', limit, async () => {
  const maps = node.client.resource<ApiObject & { data: object }>(core('configmaps', 'ConfigMap'), 'default');
  await maps.create({ metadata: { name: 'live' }, data: { word: 'old' } });
  const volumeMounts = [
    { name: 'live', mountPath: '/live' },
    { name: 'live', mountPath: '/fixed', subPath: 'word' },
  ];
  await node.run('reader', {
    volumes: [{ name: 'live', configMap: { name: 'live' } }],
    containers: [
      script(
        'while [ "$(cat /live/word)" = old ]; do sleep 0.1; done; echo "$(cat /live/word) $(cat /fixed)"; hello pause',
        {
          volumeMounts,
        },
      ),
    ],
  });
  await node.until('reader', 'ready', ready);
  await maps.update({ ...(await maps.get('live')), data: { word: 'new' } });
  for (let said = ''; said !== 'new old\n'; said = await node.logs('reader'))
    await new Promise((next) => setTimeout(next, 50));
  await node.remove('reader');
});

test('a new kubelet takes over what runs, and ends what nobody wants any more', limit, async () => {
  await node.run('kept', { containers: [{ name: 'c', image }] });
  const before = await node.until('kept', 'ready', ready);
  await node.restart();
  await node.run('later', { restartPolicy: 'Never', containers: [script('true')] });
  await node.until('later', 'succeeded', phase('Succeeded'));
  const after = await node.pod('kept');
  assert.equal(status(after)?.containerID, status(before)?.containerID);
  assert.equal(status(after)?.restartCount, 0);
  const { items } = JSON.parse((await node.ask('GET', '/pods')).body) as { items: Pod[] };
  assert.deepEqual(items.map(({ metadata }) => metadata.name).sort(), ['kept', 'later']);
  await node.remove('kept');
  await node.remove('later');
});

test('a pod of higher priority takes the place of one of lower, which is ended in order', limit, async () => {
  const { client } = node;
  const classes = client.resource<ApiObject>({
    ...core('priorityclasses', 'PriorityClass'),
    group: 'scheduling.k8s.io',
    namespaced: false,
  });
  for (const [name, value] of [
    ['low', 1],
    ['high', 1000],
  ] as const)
    await classes.create({ metadata: { name }, value } as ApiObject);
  await using scheduler = startScheduler({
    config: { identity: 'test', leaderElect: false },
    deps: { client, clock: systemClock, prng: systemPrng(), log: () => {} },
  });
  await scheduler.ready;
  const asks = (priorityClassName: string, text: string) =>
    ({
      nodeName: undefined,
      priorityClassName,
      terminationGracePeriodSeconds: 20,
      // Nobody is there to take the taint off a node that has become ready.
      tolerations: [{ operator: 'Exists' }],
      containers: [script(text, { resources: { requests: { cpu: '3' } } })],
    }) as unknown as Pod['spec'];
  await node.run('low', asks('low', 'trap "echo leaving; exit 0" TERM; echo up; while :; do sleep 0.1; done'));
  await node.until('low', 'ready', ready);
  await node.run('high', asks('high', 'hello pause'));
  let last: Pod | undefined;
  const pod = await node.until('high', 'ready', async () => {
    last = (await node.pod('low').catch(() => undefined)) ?? last;
    return ready(await node.pod('high'));
  });
  assert.equal(pod.spec.nodeName, node.nodeName);
  const target = last?.status?.conditions?.find(({ type }) => type === 'DisruptionTarget');
  assert.deepEqual([target?.status, target?.reason], ['True', 'PreemptionByScheduler']);
  assert.ok((await node.events('low')).some(({ reason }) => reason === 'Killing'));
  await assert.rejects(node.pod('low'), /pods "low" not found/);
  await node.remove('high');
});

test('exec and port-forward from a client through the apiserver and the port of the kubelet', limit, async () => {
  await node.run('talk', { containers: [{ name: 'c', image }] });
  await node.until('talk', 'ready', ready);
  const { authority } = node;
  const own = await authority.issue({ commonName: 'apiserver', ipAddresses: ['127.0.0.1'], usages: ['server'] });
  const tls = { ...own, clientCa: authority.certificate };
  await using listener = await listen({ address: { host: '127.0.0.1', port: 0 }, tls, handler: node.apiserver });
  const admin = await authority.issue({ commonName: 'me', organizations: ['system:masters'], usages: ['client'] });
  const tlsClient = { ca: authority.certificate, cert: admin.certificate, key: admin.key };
  const pod = `127.0.0.1:${listener.port}/api/v1/namespaces/default/pods/talk`;
  const exec = new WebSocket(`wss://${pod}/exec?command=cat&stdin=1&stdout=1`, ['v5.channel.k8s.io'], tlsClient);
  const messages: Buffer[] = [];
  exec.on('message', (data: Buffer) => messages.push(data));
  await new Promise((resolve, reject) => {
    exec.once('open', resolve);
    exec.once('error', reject);
  });
  exec.send(Buffer.from('\0hello'));
  exec.send(Buffer.of(255, 0));
  await new Promise((resolve) => exec.once('close', resolve));
  const said = (channel: number) =>
    messages
      .filter((message) => message[0] === channel)
      .map((message) => message.toString('utf8', 1))
      .join('');
  assert.equal(said(1), 'hello');
  assert.match(said(3), /"status":"Success"/);

  const forward = new SpdyClient(`https://${pod}/portforward`, 'portforward.k8s.io', tlsClient);
  for (const [id, streamtype] of [
    [1, 'error'],
    [3, 'data'],
  ] as const)
    forward.open(id, { streamtype, port: '80', requestid: '0' });
  forward.send(3, 'GET / HTTP/1.0\r\n\r\n');
  await forward.until(() => forward.ended(3));
  assert.match(forward.text(3), /^HTTP\/1\.[01] 200 OK[\s\S]*Hello from talk/);
  forward.socket.destroy();
  await node.remove('talk');
});

test('a registry that lets in those it knows: pull secrets of the pod are tried', limit, async () => {
  await using registry = await startRegistry();
  const tar = makeLayer({ 'note.txt': { bytes: 'private' } });
  await pushImage(registry.address, 'team/private:1', {
    layers: [{ mediaType: MediaType.ociLayer, blob: tar, tar }],
    config: { Cmd: ['/nothing'] },
    platform: { os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch },
  });
  const wanted = `Basic ${Buffer.from('puller:right').toString('base64')}`;
  const door = createServer((request, response) => {
    if (request.headers.authorization !== wanted) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="door"' }).end();
      return;
    }
    const [host, port] = registry.address.split(':');
    const { authorization: _, ...headers } = request.headers;
    const inner = forwardRequest({ host, port, path: request.url, method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
    });
    request.pipe(inner);
  });
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(door.address() as { port: number }).port}`;
  const secrets = node.client.resource<ApiObject>(core('secrets', 'Secret'), 'default');
  for (const [name, password] of [
    ['wrong', 'wrong'],
    ['right', 'right'],
  ] as const)
    await secrets.create({
      metadata: { name },
      type: 'kubernetes.io/dockerconfigjson',
      data: {
        '.dockerconfigjson': Buffer.from(
          JSON.stringify({ auths: { [address]: { username: 'puller', password } } }),
        ).toString('base64'),
      },
    } as ApiObject);
  const run = (name: string, ...names: string[]) =>
    node.run(name, {
      restartPolicy: 'Never',
      imagePullSecrets: names.map((secret) => ({ name: secret })),
      containers: [{ name: 'c', image: `${address}/team/private:1` }],
    });
  await run('nobody', 'absent');
  const refused = (pod: Pod) => /ErrImagePull|ImagePullBackOff/.test(status(pod)?.state.waiting?.reason ?? '');
  await node.until('nobody', 'refused', refused);
  const told = (await node.events('nobody')).map(({ reason, message }) => `${reason}: ${message}`);
  assert.ok(
    told.includes(
      'FailedToRetrieveImagePullSecret: Unable to retrieve some image pull secrets (absent); attempting to pull the image may not succeed.',
    ),
    told.join('\n'),
  );
  await run('stranger', 'wrong');
  await node.until('stranger', 'refused', refused);
  await run('known', 'wrong', 'right');
  // There is no such program: that it is looked for says that the image is there.
  await node.until('known', 'pulled', (pod) => status(pod)?.imageID.includes('/team/private@sha256:'));
  for (const name of ['nobody', 'stranger', 'known']) await node.remove(name);
  door.closeAllConnections();
  door.close();
});
