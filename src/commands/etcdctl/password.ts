/** Passwords from a terminal, unseen, and from standard input. Nothing is read beyond the line that is asked for. */
import type { CommandContext } from '../command.ts';
import { wrong } from './exit.ts';

/** @throws EtcdctlError where there is no terminal to ask at */
export async function askPassword({ stdin, stdout }: CommandContext, prompt: string): Promise<string> {
  stdout.write(prompt);
  if (!stdin.isTTY) {
    stdout.write('\n');
    throw wrong('failed to ask password: inappropriate ioctl for device');
  }
  stdin.setRawMode(true);
  try {
    let typed = '';
    for (const sign of await nextLine(stdin, '\u0003')) typed = sign === '\u007f' ? typed.slice(0, -1) : typed + sign;
    return typed;
  } finally {
    stdin.setRawMode(false);
    stdout.write('\n');
  }
}

/** Twice, so that what is typed is what was meant. */
export async function askNewPassword(context: CommandContext, name: string): Promise<string> {
  const password = await askPassword(context, `Password of ${name}: `);
  if (password === '') throw wrong('empty password');
  if ((await askPassword(context, `Type password of ${name} again for confirmation: `)) !== password)
    throw wrong('given passwords are different');
  return password;
}

/** The first word of the first line of standard input, which may stay open. */
export async function readPassword({ stdin }: CommandContext): Promise<string> {
  return /\S+/.exec(await nextLine(stdin))?.[0] ?? '';
}

/**
 * Up to the end of the line or of the input; what comes behind it stays to be read.
 * @param interrupt a sign that says to stop: a terminal in raw mode sends no signal
 */
function nextLine(stdin: CommandContext['stdin'], interrupt?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    // As bytes: a character may come in two pieces.
    let read = '';
    const settle = (then: () => void) => {
      stdin.off('data', onData).off('end', onEnd).off('error', onError).pause();
      then();
    };
    const line = (bytes: string) => Buffer.from(bytes, 'latin1').toString();
    const onData = (chunk: Buffer) => {
      read += chunk.toString('latin1');
      const end = read.search(/[\r\n]/);
      const typed = end < 0 ? read : read.slice(0, end);
      if (interrupt !== undefined && typed.includes(interrupt))
        settle(() => reject(wrong('failed to ask password: interrupted')));
      else if (end >= 0)
        settle(() => {
          if (end + 1 < read.length) stdin.unshift(Buffer.from(read.slice(end + 1), 'latin1'));
          resolve(line(typed));
        });
    };
    const onEnd = () => settle(() => resolve(line(read)));
    const onError = (error: Error) => settle(() => reject(error));
    stdin.on('data', onData).on('end', onEnd).on('error', onError).resume();
  });
}
