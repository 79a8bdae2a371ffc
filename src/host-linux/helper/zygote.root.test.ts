/** The zygote on the real kernel: plans run, failures are told, sockets come out of other namespaces. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmdirSync } from 'node:fs';
import { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { findHelper } from './binary.ts';
import { Op } from './op-codes.ts';
import { Plan } from './plan.ts';
import { connectIn, openSocketIn, socketAddress, waitForPid } from './services.ts';
import { HelperError, Zygote } from './zygote.ts';

const limit = { timeout: 10_000 };
let helper: Zygote;

before(() => {
  helper = new Zygote(findHelper());
});

after(() => helper[Symbol.asyncDispose]());

test('operations run in order and stop at the first failure', limit, async () => {
  const folder = join(mkdtempSync(join(tmpdir(), 'plan-')), 'a');
  await helper.run(new Plan().mkdir(folder).mkdir(join(folder, 'b')));
  await assert.rejects(
    helper.run(new Plan().write(join(folder, 'none'), 'x').mkdir(join(folder, 'c'))),
    (error: HelperError) => error instanceof HelperError && error.errno === 2 && /no such file/.test(error.message),
  );
  assert.equal(existsSync(join(folder, 'b')), true);
  assert.equal(existsSync(join(folder, 'c')), false);
  rmdirSync(join(folder, 'b'));
  rmdirSync(folder);
});

test('many requests at once are all answered', limit, async () => {
  const requests = Array.from({ length: 500 }, (_, index) =>
    helper.run(new Plan().write('/dev/null', String(index))).then(() => index),
  );
  assert.deepEqual(await Promise.all(requests), [...requests.keys()]);
});

test('a malformed plan is refused, not run', limit, async () => {
  await assert.rejects(
    helper.run(
      new Plan().op(
        Op.WRITE,
        () => 'write',
        (fields) => fields.u32(0xffff),
      ),
    ),
    /operation 2 is malformed/,
  );
  await assert.rejects(helper.run(new Plan().op(999, () => 'none')), { errno: 38 });
});

test('a socket listens and another connects inside a namespace, unseen outside', limit, async () => {
  const child = spawn('unshare', ['-n', 'sh', '-c', 'ip link set lo up && echo ready && exec sleep 100'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const namespace = `/proc/${child.pid}/ns/net`;
    const fd = await openSocketIn(helper, namespace, {
      domain: 2,
      type: 1,
      protocol: 0,
      bind: socketAddress('127.0.0.1', 8080),
      backlog: 16,
    });
    const server = new Server((socket) => socket.end('hello from inside'));
    await new Promise<void>((resolve) => server.listen({ fd }, resolve));
    const socket = await connectIn(helper, namespace, { address: '127.0.0.1', port: 8080 });
    let text = '';
    for await (const chunk of socket) text += chunk;
    assert.equal(text, 'hello from inside');
    assert.equal(/:1F90/.test(readFileSync('/proc/net/tcp', 'utf8')), false, 'not a socket of the machine');
    await assert.rejects(
      connectIn(helper, namespace, { address: '127.0.0.1', port: 9 }),
      /connect: connection refused/,
    );
    await new Promise((resolve) => server.close(resolve));
  } finally {
    child.kill('SIGKILL');
  }
  await assert.rejects(openSocketIn(helper, '/nonexistent', { domain: 2, type: 1, protocol: 0 }), /no such file/);
});

test('waiting for a process ends with it, or with the time given', limit, async () => {
  const child = spawn('sleep', ['0.1']);
  await waitForPid(helper, child.pid!, 0n, 5000);
  const long = spawn('sleep', ['100']);
  await assert.rejects(waitForPid(helper, long.pid!, 0n, 50), { errno: 110 });
  long.kill('SIGKILL');
});

test('the zygote ends with its daemon, and what it runs from cannot be written', limit, async () => {
  const own = new Zygote(findHelper());
  const { value } = await own.run(new Plan());
  assert.equal(value, 0n);
  const pid = execFileSync('pgrep', ['-P', String(process.pid), '-n'], { encoding: 'utf8' }).trim();
  assert.match(execFileSync('readlink', [`/proc/${pid}/exe`], { encoding: 'utf8' }), /memfd:wherry-helper/);
  await own[Symbol.asyncDispose]();
  assert.equal(existsSync(`/proc/${pid}`), false);
  await assert.rejects(own.run(new Plan()), /the helper was closed/);
});

test('address bytes of both families', () => {
  assert.equal(Buffer.from(socketAddress('10.1.2.3', 80)).toString('hex'), '020000500a0102030000000000000000');
  assert.equal(
    Buffer.from(socketAddress('fd00::1:2', 443)).toString('hex'),
    '0a0001bb00000000fd00000000000000000000000001000200000000',
  );
});

test('after it was killed another one takes its place', limit, async () => {
  await using killed = new Zygote(findHelper());
  await killed.run(new Plan().write('/dev/null', 'x'));
  const { pid } = killed;
  const hanging = killed.run(
    new Plan().op(
      Op.WAIT_PID,
      () => 'wait',
      (fields) => fields.u32(process.pid).u64(0).u32(5000),
    ),
  );
  hanging.catch(() => {});
  process.kill(pid!, 'SIGKILL');
  await assert.rejects(hanging);
  // What is asked before its end has been noticed fails like what was under way.
  for (let tries = 1; ; tries++)
    try {
      await killed.run(new Plan().write('/dev/null', 'x'));
      break;
    } catch (error) {
      if (tries === 10) throw error;
      await sleep(20);
    }
  assert.notEqual(killed.pid, pid);
});
