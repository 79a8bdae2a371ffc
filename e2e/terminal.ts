/** A program on a terminal, as a person has it: what it writes is read from the other side, where its size is set, too. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, openSync, read, writeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import koffi from 'koffi';

const TIOCSWINSZ = 0x5414;
const lastWordsMs = 2000;

export interface Terminal extends Disposable {
  readonly child: ChildProcess;
  readonly output: () => string;
  /** Resolves with the exit code, when everything that was written has been read. */
  readonly ended: Promise<number | null>;
  type(text: string): void;
  resize(columns: number, rows: number): void;
}

export function startOnTerminal(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Terminal {
  const libc = koffi.load('libc.so.6');
  const ioctl = libc.func('int ioctl(int, unsigned long, void *)');
  const ptsname = libc.func('int ptsname_r(int, void *, size_t)');
  const unlockpt = libc.func('int unlockpt(int)');
  const ours = openSync('/dev/ptmx', constants.O_RDWR | constants.O_NOCTTY);
  const path = Buffer.alloc(128);
  if (unlockpt(ours) !== 0 || ptsname(ours, path, path.length) !== 0) throw new Error('no terminal to be had');
  const theirs = openSync(path.toString('utf8', 0, path.indexOf(0)), constants.O_RDWR | constants.O_NOCTTY);
  const setSize = (columns: number, rows: number) => {
    const size = Buffer.alloc(8);
    size.writeUInt16LE(rows, 0);
    size.writeUInt16LE(columns, 2);
    ioctl(ours, TIOCSWINSZ, size);
  };
  setSize(80, 24);
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: [theirs, theirs, theirs] });
  closeSync(theirs);
  let output = '';
  let open = true;
  const chunk = Buffer.alloc(64 << 10);
  const { promise: readToTheEnd, resolve: atTheEnd } = Promise.withResolvers<void>();
  const readNext = () =>
    read(ours, chunk, 0, chunk.length, null, (error, length) => {
      // A terminal that nobody holds any more reads as an input/output error. Only then it is closed: a read was waiting in it.
      if (error !== null || length === 0) {
        open = false;
        closeSync(ours);
        atTheEnd();
        return;
      }
      output += chunk.toString('utf8', 0, length);
      readNext();
    });
  readNext();
  const ended = new Promise<number | null>((resolve) => {
    child.on('close', (code) => {
      // Its last words are still on their way; unless somebody it has left behind holds the terminal.
      void Promise.race([readToTheEnd, setTimeout(lastWordsMs)]).then(() => resolve(code));
    });
    child.on('error', () => resolve(null));
  });
  return {
    child,
    output: () => output,
    ended,
    type(text) {
      if (open) writeSync(ours, text);
    },
    resize(columns, rows) {
      if (open) setSize(columns, rows);
      child.kill('SIGWINCH');
    },
    [Symbol.dispose]() {
      if (child.exitCode === null) child.kill('SIGKILL');
    },
  };
}
