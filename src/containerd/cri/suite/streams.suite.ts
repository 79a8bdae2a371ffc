/** ExecSync, Exec and Attach: output, input, terminals, exit codes, what is refused. Streams go over WebSocket, as a kubelet's client opens them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { RuntimeService } from '#api-cri/gen/api.ts';
import { SpdyClient } from '#testkit/spdy-client.ts';
import type { RpcError } from '#wire/grpc/status.ts';
import { type CriUnderTest, Pod, run, statusOf, until, waitForEnd } from './under-test.suite.ts';

const limit = { timeout: 120_000 };
const methods = RuntimeService.methods;

class Stream {
  readonly #socket: WebSocket;
  readonly closed: Promise<void>;
  stdout = '';
  stderr = '';
  /** The `Status` at the end. */
  outcome: { status?: string; message?: string; details?: { causes?: { message?: string }[] } } | undefined;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data: Buffer) => {
      const text = data.subarray(1).toString();
      if (data[0] === 1) this.stdout += text;
      else if (data[0] === 2) this.stderr += text;
      else if (data[0] === 3 && text !== '') this.outcome = JSON.parse(text);
    });
    this.closed = new Promise((resolve) => socket.on('close', () => resolve()));
  }

  static async open(url: string): Promise<Stream> {
    const socket = new WebSocket(url.replace(/^http/, 'ws'), ['v4.channel.k8s.io']);
    const stream = new Stream(socket);
    await new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    return stream;
  }

  write(text: string): void {
    this.#socket.send(Buffer.concat([Buffer.of(0), Buffer.from(text)]));
  }

  resize(Width: number, Height: number): void {
    this.#socket.send(Buffer.concat([Buffer.of(4), Buffer.from(JSON.stringify({ Width, Height }))]));
  }

  leave(): void {
    this.#socket.close();
  }
}

export function streamsSuite(open: () => CriUnderTest): void {
  const exec = async (containerId: string, cmd: string[], streams: { tty?: boolean; stdin?: boolean }) => {
    const tty = streams.tty === true;
    const request = { containerId, cmd, tty, stdin: streams.stdin === true, stdout: true, stderr: !tty };
    return Stream.open((await open().channel.unary(methods.exec, request)).url);
  };

  test('ExecSync gives output, both streams, and the exit code', limit, async () => {
    await using pod = await Pod.run(open(), 'execsync');
    const containerId = await pod.start('exec sleep 1000', { envs: [{ key: 'A', value: Buffer.from('b') }] });
    const answer = await run(open(), containerId, 'echo out $A; echo err >&2; exit 3');
    assert.deepEqual([answer.stdout, answer.stderr, answer.exitCode], ['out b\n', 'err\n', 3]);
    const long = await run(open(), containerId, 'head -c 300000 /dev/zero | tr "\\0" x');
    assert.equal(long.stdout.length, 300_000);
  });

  test('ExecSync is cut off at its timeout', limit, async () => {
    await using pod = await Pod.run(open(), 'exectimeout');
    const containerId = await pod.start('exec sleep 1000');
    await assert.rejects(run(open(), containerId, 'sleep 60', 1), (error: RpcError) => {
      assert.equal(error.code, 4);
      assert.match(error.message, /timeout 1s exceeded: context deadline exceeded$/);
      return true;
    });
  });

  test('ExecSync of a missing program, and in a container that has ended', limit, async () => {
    const { channel } = open();
    await using pod = await Pod.run(open(), 'execmissing');
    const containerId = await pod.start('exec sleep 1000');
    await assert.rejects(
      channel.unary(methods.execSync, { containerId, cmd: ['nope'], timeout: 5n }),
      /^RpcError: failed to exec in container: failed to start exec "[0-9a-f]{64}": OCI runtime exec failed: exec failed: unable to start container process: exec: "nope": executable file not found in \$PATH: unknown$/,
    );
    await channel.unary(methods.stopContainer, { containerId, timeout: 0n });
    await assert.rejects(
      channel.unary(methods.execSync, { containerId, cmd: ['true'], timeout: 5n }),
      /container is in CONTAINER_EXITED state/,
    );
  });

  test('Exec streams input, output and how it ended', limit, async () => {
    await using pod = await Pod.run(open(), 'exec');
    const containerId = await pod.start('exec sleep 1000');
    const stream = await exec(containerId, ['sh', '-c', 'read line; echo "got $line"; echo err >&2; exit 7'], {
      stdin: true,
    });
    stream.write('hello\n');
    await stream.closed;
    assert.equal(stream.stdout, 'got hello\n');
    assert.equal(stream.stderr, 'err\n');
    assert.equal(stream.outcome?.status, 'Failure');
    assert.equal(stream.outcome?.details?.causes?.[0]?.message, '7');
    const fine = await exec(containerId, ['true'], {});
    await fine.closed;
    assert.equal(fine.outcome?.status, 'Success');
  });

  test('a terminal echoes, has the size it is given, and ends with its shell', limit, async () => {
    await using pod = await Pod.run(open(), 'terminal');
    const containerId = await pod.start('exec sleep 1000');
    const stream = await exec(containerId, ['sh'], { tty: true, stdin: true });
    stream.resize(91, 37);
    await until(() => (stream.stdout.includes('#') ? true : undefined));
    stream.write('stty size\n');
    await until(() => (stream.stdout.includes('37 91') ? true : undefined));
    stream.write('exit 3\n');
    await stream.closed;
    assert.equal(stream.outcome?.details?.causes?.[0]?.message, '3');
  });

  test('Exec without a stream, or a terminal with stderr, is refused', limit, async () => {
    await using pod = await Pod.run(open(), 'execrefused');
    const containerId = await pod.start('exec sleep 1000');
    const none = { containerId, cmd: ['true'], tty: false, stdin: false, stdout: false, stderr: false };
    await assert.rejects(open().channel.unary(methods.exec, none), /one of stdin, stdout, or stderr must be set/);
    await assert.rejects(
      open().channel.unary(methods.exec, { ...none, tty: true, stdout: true, stderr: true }),
      /tty and stderr cannot both be true/,
    );
  });

  test('Exec over SPDY: input and its end, both outputs, and how it ended', limit, async () => {
    await using pod = await Pod.run(open(), 'spdyexec');
    const containerId = await pod.start('exec sleep 1000');
    const request = { containerId, cmd: ['sh', '-c', 'cat; echo err >&2; exit 7'], tty: false, stdin: true };
    const { url } = await open().channel.unary(methods.exec, { ...request, stdout: true, stderr: true });
    const client = new SpdyClient(url, 'v4.channel.k8s.io');
    for (const [id, streamtype] of [
      [1, 'error'],
      [3, 'stdin'],
      [5, 'stdout'],
      [7, 'stderr'],
    ] as const)
      client.open(id, { streamtype });
    client.send(3, 'x'.repeat(100_000));
    client.send(3, 'end', true);
    await client.until(() => (client.text(1).endsWith('}') ? true : undefined));
    assert.equal(client.text(5), `${'x'.repeat(100_000)}end`);
    assert.equal(client.text(7), 'err\n');
    assert.match(client.text(1), /"reason":"NonZeroExitCode".*"message":"7"/);
    await client.closed;
  });

  test('PortForward over SPDY: the loopback of the pod, a pair of streams for each connection', limit, async () => {
    await using pod = await Pod.run(open(), 'spdyforward');
    const port = '18080';
    const script = `mkdir /www; echo page > /www/index.html; exec httpd -f -p 127.0.0.1:${port} -h /www`;
    const containerId = await pod.start(script);
    await until(async () => {
      const { exitCode } = await run(open(), containerId, `wget -qO- http://127.0.0.1:${port}/`);
      return exitCode === 0 ? true : undefined;
    });
    const { url } = await open().channel.unary(methods.portForward, { podSandboxId: pod.id, port: [] });
    const client = new SpdyClient(url, 'portforward.k8s.io');
    const connect = (id: number, to: string) => {
      const requestid = String(id);
      client.open(id, { streamtype: 'error', port: to, requestid });
      client.open(id + 2, { streamtype: 'data', port: to, requestid });
    };
    connect(1, port);
    connect(5, port);
    for (const id of [7, 3]) client.send(id, 'GET / HTTP/1.0\r\n\r\n', id === 3);
    await client.until(() => (client.ended(3) && client.ended(7) ? true : undefined));
    for (const id of [7, 3]) assert.match(client.text(id), /^HTTP\/1\.[01] 200 OK[\s\S]*\r\n\r\npage\n$/);
    connect(9, '81');
    const refusal = await client.until(() => client.text(9) || undefined);
    assert.match(refusal, /^error forwarding port 81 to pod \w+, uid : .*connection refused/);
    client.socket.destroy();
  });

  test('PortForward of a sandbox that was stopped is refused', limit, async () => {
    await using pod = await Pod.run(open(), 'forwardrefused');
    await open().channel.unary(methods.stopPodSandbox, { podSandboxId: pod.id });
    await assert.rejects(
      open().channel.unary(methods.portForward, { podSandboxId: pod.id, port: [80] }),
      /sandbox container is not running/,
    );
  });

  test('Attach feeds the process and shows what it writes; leaving leaves it running', limit, async () => {
    const cri = open();
    await using pod = await Pod.run(cri, 'attach');
    const containerId = await pod.start('while read line; do echo "got $line"; [ "$line" = end ] && exit 4; done', {
      stdin: true,
    });
    const attach = async () => {
      const request = { containerId, stdin: true, tty: false, stdout: true, stderr: true };
      return Stream.open((await cri.channel.unary(methods.attach, request)).url);
    };
    // The reference may feed the process before it listens to it; what is answered then is lost, so it is said again.
    const talk = async (stream: Stream, line: string) => {
      const heard = () => stream.stdout.includes(`got ${line}\n`);
      for (let tries = 0; !heard() && tries < 50; tries++) {
        stream.write(`${line}\n`);
        for (let waited = 0; !heard() && waited < 400; waited += 20) await sleep(20);
      }
      assert.ok(heard(), `nothing is heard of ${line}`);
    };
    const first = await attach();
    await talk(first, 'one');
    first.leave();
    await first.closed;
    const second = await attach();
    await talk(second, 'two');
    second.write('end\n');
    const status = await waitForEnd(cri, containerId);
    assert.equal(status.exitCode, 4);
    assert.match(
      pod.log((await statusOf(cri, containerId)).logPath),
      /stdout F got one\n[\s\S]*stdout F got two\n[\s\S]*stdout F got end\n$/,
    );
    second.leave();
  });
}

/** What the reference does not keep: it loses answers that come before it listens, and the last one as the process ends. */
export function lastWordsSuite(open: () => CriUnderTest): void {
  test('an attached client hears the answer that a process ends with', limit, async () => {
    const cri = open();
    await using pod = await Pod.run(cri, 'lastwords');
    const containerId = await pod.start('read line; echo "got $line"', { stdin: true });
    const request = { containerId, stdin: true, tty: false, stdout: true, stderr: true };
    const stream = await Stream.open((await cri.channel.unary(methods.attach, request)).url);
    stream.write('end\n');
    await stream.closed;
    assert.equal(stream.stdout, 'got end\n');
  });
}
