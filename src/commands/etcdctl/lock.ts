/** `etcdctl lock`: holds a lock until it is interrupted, or while a command runs. */
import { spawn } from 'node:child_process';
import { acquireLock } from '#etcd/concurrency/lock.ts';
import { WaitingLine } from '#etcd/concurrency/waiting-line.ts';
import { printRange } from './kv.ts';
import { openLeaseSession, untilSignal } from './lease-session.ts';
import { bytes, EtcdctlExit, integer, type Verb, wrong } from './session.ts';

export const lock: Verb = {
  flags: { ttl: { kind: 'string', usage: 'timeout for session', default: '10' } },
  async run(session) {
    const { args, channel, client, flags, context } = session;
    const [name, ...command] = args;
    if (name === undefined) throw wrong('lock takes a lock name argument and an optional command to execute');
    // From the first moment: whoever waits and is interrupted gives its lease back.
    const { signal, stopped } = untilSignal();
    const canceled = (error: unknown) => {
      throw signal.aborted ? wrong('context canceled', EtcdctlExit.error) : error;
    };
    const ttl = integer(flags.string('ttl')!, 'bad TTL');
    await using lease = await openLeaseSession(session, ttl, signal).catch(canceled);
    const line = new WaitingLine(channel, { metadata: [], signal }, bytes(name));
    const { key, header } = await acquireLock(line, bytes(name), lease.lease).catch(canceled);
    try {
      if (command.length > 0) {
        const code = await run(command, {
          ...context.env,
          ETCD_LOCK_KEY: Buffer.from(key).toString(),
          ETCD_LOCK_REV: String(header!.revision),
        });
        if (code !== 0) throw wrong(`exit status ${code}`, code);
        return;
      }
      const held = await client.range({ key });
      if (held.kvs.length === 0) throw wrong('lock lost on init', EtcdctlExit.error);
      printRange(session, held);
      const how = await Promise.race([stopped.then(() => 'stopped'), lease.expired.then(() => 'expired')]);
      if (how === 'expired') throw wrong('session expired', EtcdctlExit.error);
    } finally {
      await client.deleteRange({ key });
    }
  },
};

/** The command has our streams. @returns its exit code */
export function run(
  [program, ...args]: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program!, args, { stdio: ['ignore', 'inherit', 'inherit'], env });
    child.on('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'ENOENT' ? 'executable file not found in $PATH' : error.message;
      reject(wrong(`exec: ${JSON.stringify(program)}: ${why}`, EtcdctlExit.error));
    });
    child.on('close', (code) => resolve(code ?? EtcdctlExit.error));
  });
}
