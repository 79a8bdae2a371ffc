/** Pods and containers by the CRI: their lives, what is told of them, what they see, what is refused. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  ContainerEventType,
  ContainerState,
  ImageSpec,
  LinuxContainerConfig,
  LinuxContainerResources,
  LinuxContainerSecurityContext,
  Mount,
  NamespaceMode,
  PodSandboxState,
  RuntimeService,
} from '#api-cri/gen/api.ts';
import { RpcError } from '#wire/grpc/status.ts';
import { type CriUnderTest, Pod, podConfig, run, statusOf, until, waitForEnd } from './under-test.suite.ts';

const limit = { timeout: 120_000 };
const methods = RuntimeService.methods;

async function refusal(work: Promise<unknown>): Promise<RpcError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof RpcError, String(error));
    return error;
  }
  assert.fail('it was not refused');
}

export function podsSuite(open: () => CriUnderTest): void {
  test('a pod is ready, then stopped, then gone; stopping and removing again is fine', limit, async () => {
    const cri = open();
    const pod = await Pod.run(cri, 'life');
    const status = async () =>
      (await cri.channel.unary(methods.podSandboxStatus, { podSandboxId: pod.id, verbose: false })).status!;
    const ready = await status();
    assert.equal(ready.state, PodSandboxState.SANDBOX_READY);
    assert.equal(ready.metadata?.name, 'life');
    assert.deepEqual([...ready.labels], [['pod', 'life']]);
    assert.deepEqual([...ready.annotations], [['note', 'of life']]);
    assert.equal(ready.network?.ip, '');
    const list = async (labels: [string, string][]) =>
      (
        await cri.channel.unary(methods.listPodSandbox, {
          filter: { id: '', state: undefined, labelSelector: new Map(labels) },
        })
      ).items.map(({ id }) => id);
    assert.deepEqual(await list([['pod', 'life']]), [pod.id]);
    assert.deepEqual(await list([['pod', 'other']]), []);
    await cri.channel.unary(methods.stopPodSandbox, { podSandboxId: pod.id });
    assert.equal((await status()).state, PodSandboxState.SANDBOX_NOTREADY);
    await cri.channel.unary(methods.stopPodSandbox, { podSandboxId: pod.id });
    await pod[Symbol.asyncDispose]();
    assert.equal((await refusal(status())).code, 5);
    await cri.channel.unary(methods.removePodSandbox, { podSandboxId: pod.id });
  });

  test('two pods of one name and attempt are refused', limit, async () => {
    await using pod = await Pod.run(open(), 'twice');
    const config = podConfig('twice', pod.folder);
    const error = await refusal(open().channel.unary(methods.runPodSandbox, { config, runtimeHandler: '' }));
    assert.match(
      error.message,
      /^failed to reserve sandbox name "twice_suite_uid-twice_0": name "twice_suite_uid-twice_0" is reserved for "\w+"$/,
    );
  });

  test('an unknown runtime handler is refused', limit, async () => {
    const config = podConfig('handler', '');
    const error = await refusal(open().channel.unary(methods.runPodSandbox, { config, runtimeHandler: 'nope' }));
    assert.match(error.message, /no runtime for "nope" is configured$/);
  });

  test('a container goes from created to running to exited, and its status tells', limit, async () => {
    const cri = open();
    await using pod = await Pod.run(cri, 'container');
    const containerId = await pod.create('sleep 0.2; exit 5', { labels: new Map([['a', 'b']]) });
    const created = await statusOf(cri, containerId);
    assert.equal(created.state, ContainerState.CONTAINER_CREATED);
    assert.ok(created.createdAt > 0n);
    assert.equal(created.startedAt, 0n);
    await cri.channel.unary(methods.startContainer, { containerId });
    const running = await statusOf(cri, containerId);
    assert.equal(running.state, ContainerState.CONTAINER_RUNNING);
    assert.ok(running.startedAt >= created.createdAt);
    assert.equal((await refusal(cri.channel.unary(methods.startContainer, { containerId }))).code, 2);
    const ended = await waitForEnd(cri, containerId);
    assert.equal(ended.exitCode, 5);
    assert.equal(ended.reason, 'Error');
    assert.ok(ended.finishedAt >= running.startedAt);
    assert.equal(ended.image?.image, `${cri.registry}/test/box:1`);
    assert.deepEqual([...ended.labels], [['a', 'b']]);
    const { containers } = await cri.channel.unary(methods.listContainers, {
      filter: { id: '', state: undefined, podSandboxId: pod.id, labelSelector: new Map() },
    });
    assert.deepEqual(
      containers.map(({ id, state }) => [id, state]),
      [[containerId, ContainerState.CONTAINER_EXITED]],
    );
    await cri.channel.unary(methods.removeContainer, { containerId });
    const gone = await refusal(statusOf(cri, containerId));
    assert.equal(gone.code, 5);
    assert.equal(gone.message, `an error occurred when try to find container "${containerId}": not found`);
  });

  test('an exit code of zero is Completed; a killed container is 137', limit, async () => {
    const cri = open();
    await using pod = await Pod.run(cri, 'reasons');
    assert.equal((await pod.finish('true')).status.reason, 'Completed');
    const containerId = await pod.start('exec sleep 1000');
    await cri.channel.unary(methods.stopContainer, { containerId, timeout: 0n });
    assert.equal((await statusOf(cri, containerId)).exitCode, 137);
    await cri.channel.unary(methods.stopContainer, { containerId, timeout: 0n });
  });

  test('a second stop with less time takes effect, and sends no second signal', limit, async () => {
    const cri = open();
    await using pod = await Pod.run(cri, 'sooner');
    const containerId = await pod.start('trap "echo asked" TERM; echo up; while :; do sleep 0.05; done');
    const log = async () => pod.log((await statusOf(cri, containerId)).logPath);
    await until(async () => ((await log()).includes('up') ? true : undefined));
    const slow = cri.channel.unary(methods.stopContainer, { containerId, timeout: 600n });
    await until(async () => ((await log()).includes('asked') ? true : undefined));
    await cri.channel.unary(methods.stopContainer, { containerId, timeout: 1n });
    await slow;
    assert.equal((await statusOf(cri, containerId)).exitCode, 137);
    assert.equal((await log()).match(/asked/g)?.length, 1);
  });

  test('a stop that its caller gives up leaves the container running', limit, async () => {
    const cri = open();
    await using pod = await Pod.run(cri, 'spared');
    const containerId = await pod.start('trap "echo asked" TERM; echo up; while :; do sleep 0.05; done');
    const log = async () => pod.log((await statusOf(cri, containerId)).logPath);
    await until(async () => ((await log()).includes('up') ? true : undefined));
    const abort = new AbortController();
    const stop = refusal(
      cri.channel.unary(methods.stopContainer, { containerId, timeout: 600n }, { signal: abort.signal }),
    );
    await until(async () => ((await log()).includes('asked') ? true : undefined));
    abort.abort();
    assert.equal((await stop).code, 1);
    assert.equal((await statusOf(cri, containerId)).state, ContainerState.CONTAINER_RUNNING);
    await cri.channel.unary(methods.stopContainer, { containerId, timeout: 0n });
  });

  test('a program that is missing ends in StartError', limit, async () => {
    const cri = open();
    await using pod = await Pod.run(cri, 'missing');
    const containerId = await pod.create('', { command: ['/bin/nope'] });
    const error = await refusal(cri.channel.unary(methods.startContainer, { containerId }));
    assert.equal(
      error.message,
      'failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: ' +
        'unable to start container process: exec: "/bin/nope": stat /bin/nope: no such file or directory: unknown',
    );
    const status = await statusOf(cri, containerId);
    assert.equal(status.state, ContainerState.CONTAINER_EXITED);
    assert.equal(status.exitCode, 128);
    assert.equal(status.reason, 'StartError');
    assert.equal(status.message, error.message);
  });

  test('an image that is not there is refused', limit, async () => {
    await using pod = await Pod.run(open(), 'noimage');
    const error = await refusal(pod.create('true', { image: ImageSpec.create({ image: 'test/nope:1' }) }));
    assert.match(
      error.message,
      /failed to resolve image "test\/nope:1"|image "docker.io\/test\/nope:1": not found|not found/,
    );
  });

  test('the log has a line a line, whole and in parts, from both streams', limit, async () => {
    await using pod = await Pod.run(open(), 'log');
    const { status } = await pod.finish(
      'echo one; echo two >&2; printf tail; head -c 20000 /dev/zero | tr "\\0" x; echo',
    );
    const lines = pod.log(status.logPath).trimEnd().split('\n');
    for (const line of lines)
      assert.match(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(?:Z|[+-]\d\d:\d\d) std(?:out|err) [FP] /);
    const rest = lines.map((line) => line.replace(/^\S+ /, ''));
    assert.ok(rest.includes('stdout F one'));
    assert.ok(rest.includes('stderr F two'));
    const long = rest.filter((line) => /^stdout [FP] (?:tail)?x/.test(line));
    assert.deepEqual(
      long.map((line) => line.slice(7, 8)),
      ['P', 'F'],
    );
    assert.equal(long[0]!.length - 'stdout P '.length, 16384);
  });

  test('a rotated log goes on in the new file', limit, async () => {
    const cri = open();
    await using pod = await Pod.run(cri, 'rotate');
    const containerId = await pod.start('echo before; until [ -e /go ]; do sleep 0.02; done; echo after');
    const { logPath } = await statusOf(cri, containerId);
    await until(() => (readFileSync(logPath, 'utf8').includes('before') ? true : undefined));
    renameSync(logPath, `${logPath}.1`);
    await cri.channel.unary(methods.reopenContainerLog, { containerId });
    await run(cri, containerId, 'touch /go');
    await waitForEnd(cri, containerId);
    assert.match(readFileSync(logPath, 'utf8'), /^\S+ stdout F after\n$/);
    assert.match(readFileSync(`${logPath}.1`, 'utf8'), /^\S+ stdout F before\n$/);
  });

  test('a container sees its environment, folder, user, mounts and files of the pod', limit, async () => {
    await using pod = await Pod.run(open(), 'sees');
    const source = join(pod.folder, 'data');
    mkdirSync(source);
    writeFileSync(join(source, 'file'), 'content\n');
    const { log } = await pod.finish(
      'echo $A; pwd; id -u; id -G; cat /data/file; touch /data/x 2>/dev/null || echo ro; touch /tmp/x && echo rw; hostname',
      {
        envs: [{ key: 'A', value: Buffer.from('with space') }],
        workingDir: '/tmp',
        mounts: [Mount.create({ containerPath: '/data', hostPath: source, readonly: true })],
        linux: LinuxContainerConfig.create({
          securityContext: LinuxContainerSecurityContext.create({
            runAsUser: { value: 0n },
            supplementalGroups: [1234n],
          }),
        }),
      },
    );
    const seen = log.replaceAll(/^std(out|err) F /gm, '').split('\n');
    assert.deepEqual(seen.slice(0, 3), ['with space', '/tmp', '0']);
    assert.match(seen[3]!, /\b1234\b/);
    assert.equal(seen[4], 'content');
    assert.ok(seen.includes('ro'));
    assert.ok(seen.includes('rw'));
  });

  test('a read-only root, another user, no new privileges', limit, async () => {
    await using pod = await Pod.run(open(), 'readonly');
    const { log } = await pod.finish(
      'touch /x; id -un; grep NoNewPrivs /proc/self/status; grep CapEff /proc/self/status',
      {
        linux: LinuxContainerConfig.create({
          securityContext: LinuxContainerSecurityContext.create({
            runAsUsername: 'alice',
            readonlyRootfs: true,
            noNewPrivs: true,
          }),
        }),
      },
    );
    assert.match(log, /Read-only file system/);
    assert.match(log, /stdout F alice\n/);
    assert.match(log, /NoNewPrivs:\s+1/);
    assert.match(log, /CapEff:\s+0000000000000000/);
  });

  test('limits reach the cgroup, and more memory than allowed is OOMKilled', limit, async () => {
    const cri = open();
    await using pod = await Pod.run(cri, 'limits');
    const linux = LinuxContainerConfig.create({
      resources: LinuxContainerResources.create({
        memoryLimitInBytes: 32n << 20n,
        cpuShares: 512n,
        cpuQuota: 20_000n,
        cpuPeriod: 100_000n,
      }),
    });
    const containerId = await pod.start('exec sleep 1000', { linux });
    const read = async () =>
      (
        await run(
          cri,
          containerId,
          'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null',
        )
      ).stdout.trim();
    assert.equal(await read(), String(32 << 20));
    await cri.channel.unary(methods.updateContainerResources, {
      containerId,
      linux: LinuxContainerResources.create({ memoryLimitInBytes: 48n << 20n }),
      windows: undefined,
      annotations: new Map(),
    });
    assert.equal(await read(), String(48 << 20));
    // With all of a processor: a shell with a fifth of it takes long to use up so much.
    const greedy = LinuxContainerConfig.create({
      resources: LinuxContainerResources.create({ memoryLimitInBytes: 32n << 20n }),
    });
    const { status } = await pod.finish('x=$(head -c 100000000 /dev/zero | tr "\\0" x); echo $x', { linux: greedy });
    assert.equal(status.reason, 'OOMKilled');
  });

  test('containers of a pod that shares its pid namespace see each other', limit, async () => {
    const cri = open();
    await using pod = await Pod.run(cri, 'shared', { pid: NamespaceMode.POD });
    await pod.start('exec sleep 4321');
    const other = await pod.start('exec sleep 1000');
    assert.match((await run(cri, other, 'ps -o args 2>/dev/null || ps')).stdout, /sleep 4321/);
  });

  test('stats are numbers of this container', limit, async () => {
    const cri = open();
    await using pod = await Pod.run(cri, 'stats');
    const containerId = await pod.start('i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exec sleep 1000');
    const stats = await until(async () => {
      const { stats: read } = await cri.channel.unary(methods.containerStats, { containerId });
      return (read?.cpu?.usageCoreNanoSeconds?.value ?? 0n) > 1_000_000n ? read : undefined;
    });
    assert.equal(stats.attributes?.id, containerId);
    assert.ok(stats.memory!.workingSetBytes!.value > 0n);
    assert.ok(stats.memory!.workingSetBytes!.value < 1n << 30n);
    const { stats: all } = await cri.channel.unary(methods.listContainerStats, {
      filter: { id: '', podSandboxId: pod.id, labelSelector: new Map() },
    });
    assert.deepEqual(
      all.map(({ attributes }) => attributes?.id),
      [containerId],
    );
  });

  test('events tell of each step', limit, async () => {
    const cri = open();
    await using call = cri.channel.open(methods.getContainerEvents);
    call.send({});
    call.closeSend();
    const seen: [string, ContainerEventType][] = [];
    const reading = (async () => {
      for await (const { containerId, containerEventType } of call.messages)
        seen.push([containerId, containerEventType]);
    })().catch(() => {});
    const pod = await Pod.run(cri, 'events');
    const containerId = await pod.start('true');
    await waitForEnd(cri, containerId);
    await pod[Symbol.asyncDispose]();
    const { CONTAINER_CREATED_EVENT, CONTAINER_STARTED_EVENT, CONTAINER_STOPPED_EVENT, CONTAINER_DELETED_EVENT } =
      ContainerEventType;
    const steps = [CONTAINER_CREATED_EVENT, CONTAINER_STARTED_EVENT, CONTAINER_STOPPED_EVENT, CONTAINER_DELETED_EVENT];
    for (const id of [pod.id, containerId])
      await until(() => (seen.filter(([of]) => of === id).length >= 4 ? true : undefined));
    for (const id of [pod.id, containerId])
      assert.deepEqual(
        seen.filter(([of]) => of === id).map(([, type]) => type),
        steps,
      );
    call.cancel();
    await reading;
  });

  test('after the daemon was killed, containers are the same, and their ends are known', limit, async () => {
    const cri = open();
    await using pod = await Pod.run(cri, 'killed');
    const running = await pod.start('exec sleep 1000');
    // One that ends while nobody is there is `Unknown` to upstream; ours are tested where the daemon is.
    const ending = await pod.start('until [ -e /go ]; do sleep 0.02; done; exit 6');
    const before = await statusOf(cri, running);
    const stat = async () => (await run(cri, running, 'cat /proc/1/stat')).stdout.split(' ')[21];
    const startTime = await stat();
    await cri.restart();
    assert.deepEqual(await statusOf(cri, running), before);
    assert.equal(await stat(), startTime);
    await run(cri, ending, 'touch /go');
    assert.equal((await waitForEnd(cri, ending)).exitCode, 6);
  });
}
