/**
 * `runc`: the OCI runtime's command line, as containerd, podman and Docker call it. Global flags, the log, and handing over to the command; it never touches
 * its own standard streams before a container has inherited them.
 */
import { appendFileSync, writeSync } from 'node:fs';
import { systemClock } from '#host/clock.ts';
import { openCgroups } from '#host-linux/cgroups/open.ts';
import { findHelper } from '#host-linux/helper/binary.ts';
import { CommandLineRuntime } from '#runtime/command-line.ts';
import { RuntimeError } from '#runtime/error.ts';
import packageJson from '../../package.json' with { type: 'json' };
import type { Command } from './command.ts';
import { type Flags, parseFlags, UsageError } from './runc/flags.ts';
import { ociVersion } from './runc/spec.ts';
import { rfc3339 } from './runc/tables.ts';
import { ExitError, verbs } from './runc/verbs.ts';

/** The runc whose behaviour this has. */
const runcVersion = '1.2.0';

export const runc: Command = async (args) => {
  let flags: Flags | undefined;
  // The clock's timers keep no process alive, and a command that waits for a container has nothing else.
  const alive = setInterval(() => {}, 1 << 30);
  try {
    flags = parseFlags(args, {
      values: ['log', 'log-format', 'root', 'criu', 'rootless'],
      booleans: ['debug', 'systemd-cgroup', 'help', 'version'],
      aliases: { help: 'h', version: 'v' },
    });
    return await dispatch(flags);
  } catch (error) {
    const known =
      error instanceof RuntimeError || error instanceof ExitError || error instanceof UsageError || isSystem(error);
    // The caller sees nothing but the log: what is our own mistake is told there, too, and where.
    report(flags, known || !(error instanceof Error) ? String((error as Error).message) : String(error.stack));
    return error instanceof ExitError ? error.exitCode : 1;
  } finally {
    clearInterval(alive);
  }
};

async function dispatch(flags: Flags): Promise<number> {
  const [name, ...rest] = flags.rest;
  const print = (text: string) => void writeSync(1, text);
  if (flags.has('version')) {
    print(`runc version ${runcVersion}+wherry.${packageJson.version}\nspec: ${ociVersion}\n`);
    return 0;
  }
  if (name === undefined || name === 'help' || flags.has('help')) {
    print(
      `Usage: runc [global options] command [command options] [arguments...]\n\nCommands: ${Object.keys(verbs).join(', ')}\n`,
    );
    return 0;
  }
  const verb = verbs[name];
  if (verb === undefined) throw new UsageError(`No help topic for '${name}'`);
  if (flags.has('systemd-cgroup'))
    throw new RuntimeError('Unimplemented', 'the systemd cgroup driver is not supported');
  const runtime = new CommandLineRuntime({
    root: flags.one('root') ?? '/run/runc',
    helper: findHelper(),
    cgroups: openCgroups(),
    clock: systemClock,
    arch: process.arch as 'x64' | 'arm64',
  });
  return verb({ runtime, print }, rest);
}

/** Into the log, from which callers take the reason, and on standard error unless that is the log. */
function report(flags: Flags | undefined, message: string): void {
  const path = flags?.one('log');
  const time = rfc3339(BigInt(systemClock.now()) * 1_000_000n);
  const line =
    flags?.one('log-format') === 'json'
      ? JSON.stringify({ level: 'error', msg: message, time })
      : `time=${JSON.stringify(time)} level=error msg=${JSON.stringify(message)}`;
  if (path === undefined || path === '' || path === '/dev/stderr') writeSync(2, `${line}\n`);
  else {
    appendFileSync(path, `${line}\n`, { mode: 0o644 });
    writeSync(2, `${message}\n`);
  }
}

/** Node's own errors of files: they name the operand. */
function isSystem(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}
