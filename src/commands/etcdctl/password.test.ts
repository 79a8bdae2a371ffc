/** Passwords: unseen from a terminal, which may be ahead of us, and from an input that stays open. */
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import test from 'node:test';
import type { CommandContext } from '../command.ts';
import { askNewPassword, readPassword } from './password.ts';

function typing(isTTY: boolean): { readonly stdin: PassThrough; readonly context: CommandContext } {
  const stdin = Object.assign(new PassThrough(), { isTTY, setRawMode: () => {} });
  const context = { env: {}, stdin, stdout: { write: () => true }, stderr: { write: () => true } };
  return { stdin, context: context as unknown as CommandContext };
}

test('the first line is the password, though the input stays open', async () => {
  const { stdin, context } = typing(false);
  stdin.write('sec');
  const read = readPassword(context);
  stdin.write('ret\nand more');
  assert.equal(await read, 'secret');
});

test('an input that ends without a line is a password, too', async () => {
  const { stdin, context } = typing(false);
  stdin.end('secret');
  assert.equal(await readPassword(context), 'secret');
});

test('what is typed ahead is the second answer', async () => {
  const { stdin, context } = typing(true);
  stdin.write('gehx\u007feim-\u00e4\rgeheim-\u00e4\r');
  assert.equal(await askNewPassword(context, 'anna'), 'geheim-\u00e4');
});

test('two answers that differ are refused, and so is an interruption', async () => {
  const { stdin, context } = typing(true);
  stdin.write('one\rtwo\r');
  await assert.rejects(askNewPassword(context, 'anna'), /given passwords are different/);
  stdin.write('thr\u0003');
  await assert.rejects(askNewPassword(context, 'anna'), /interrupted/);
});
