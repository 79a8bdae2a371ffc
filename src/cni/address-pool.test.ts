/** Addresses of pods on disk: who has which, what a power loss leaves, and an end of the range. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parsePrefix } from '#wire/netlink/ip-address.ts';
import { AddressPool } from './address-pool.ts';

const limit = { timeout: 5000 };
/** Five addresses for pods: .2 to .6. */
const range = parsePrefix('10.9.8.0/29');

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'pool-'));
  try {
    await run(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('one address an owner, going round; one that was given back rests', limit, () =>
  inFolder(async (folder) => {
    const pool = await AddressPool.open(folder, range);
    assert.equal(await pool.take('a'), '10.9.8.2');
    assert.equal(await pool.take('b'), '10.9.8.3');
    assert.equal(await pool.take('a'), '10.9.8.2');
    await pool.release('a');
    assert.deepEqual(await readdir(folder), ['10.9.8.3']);
    assert.equal(await pool.take('c'), '10.9.8.4');
  }),
);

test('a full range says so, and takes again what is given back', limit, () =>
  inFolder(async (folder) => {
    const pool = await AddressPool.open(folder, range);
    for (const owner of 'abcde') await pool.take(owner);
    await assert.rejects(pool.take('f'), { message: 'no IP addresses available in range set' });
    await pool.release('c');
    assert.equal(await pool.take('f'), '10.9.8.4');
  }),
);

test('opened again, everybody has what they had', limit, () =>
  inFolder(async (folder) => {
    await (await AddressPool.open(folder, range)).take('a');
    const pool = await AddressPool.open(folder, range);
    assert.deepEqual([...pool.owners()], ['a']);
    assert.equal(await pool.take('a'), '10.9.8.2');
    assert.equal(await pool.take('b'), '10.9.8.3');
    assert.equal(await readFile(join(folder, '10.9.8.3'), 'utf8'), 'b\neth0');
  }),
);

test('files that a power loss left empty or half-written hold no address', limit, () =>
  inFolder(async (folder) => {
    await writeFile(join(folder, '10.9.8.2'), '');
    await writeFile(join(folder, '10.9.8.3'), Buffer.alloc(20));
    await writeFile(join(folder, '10.9.8.4.new'), 'x\neth0');
    await writeFile(join(folder, '10.9.8.5'), 'kept\neth0');
    await writeFile(join(folder, '10.9.9.2'), 'elsewhere\neth0');
    const pool = await AddressPool.open(folder, range);
    assert.deepEqual([...pool.owners()], ['kept']);
    assert.deepEqual(await readdir(folder), ['10.9.8.5']);
    assert.equal(await pool.take('a'), '10.9.8.2');
  }),
);
