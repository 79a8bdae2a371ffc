/** Passwords from a terminal, unseen, and from standard input. */
import type { CommandContext } from '../command.ts';
import { readStdin, wrong } from './exit.ts';

/** @throws EtcdctlError where there is no terminal to ask at */
export async function askPassword({ stdin, stdout }: CommandContext, prompt: string): Promise<string> {
  stdout.write(prompt);
  if (!stdin.isTTY) {
    stdout.write('\n');
    throw wrong('failed to ask password: inappropriate ioctl for device');
  }
  stdin.setRawMode(true);
  stdin.resume();
  try {
    let typed = '';
    for await (const chunk of stdin) {
      for (const sign of (chunk as Buffer).toString()) {
        if (sign === '\r' || sign === '\n') return typed;
        if (sign === '\u0003') throw wrong('failed to ask password: interrupted');
        typed = sign === '\u007f' ? typed.slice(0, -1) : typed + sign;
      }
    }
    return typed;
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
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

/** The first word of standard input. */
export async function readPassword(context: CommandContext): Promise<string> {
  return /\S+/.exec(await readStdin(context))?.[0] ?? '';
}
