/** A member's snapshot in a file, a piece at a time: checked, on the disk before it gets its name, and nothing left of one that fails. */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Maintenance } from '#api-etcd/gen/rpc.ts';
import { syncFolder } from '#host/files.ts';
import type { Channel } from '#rpc/call.ts';
import { EtcdctlExit, wrong } from './exit.ts';

/**
 * @param part where the bytes go first, in the folder of the name
 * @param nameOf given the whole file at `part`: where it belongs; undefined to throw it away
 * @returns the name
 * @throws EtcdctlError when what came does not match its checksum; RpcError
 */
export async function saveSnapshot(
  channel: Channel,
  part: string,
  nameOf: () => Promise<string | undefined>,
  signal?: AbortSignal,
): Promise<string | undefined> {
  try {
    await using call = channel.open(Maintenance.methods.snapshot, signal && { signal });
    call.send({});
    call.closeSend();
    const hash = createHash('sha256');
    let held: Uint8Array | undefined;
    const blobs = async function* () {
      for await (const { blob } of call.messages) {
        if (held !== undefined) hash.update(held);
        held = blob;
        yield blob;
      }
    };
    // On the disk before it gets its name: a backup that was announced survives a power cut.
    await pipeline(blobs, createWriteStream(part, { mode: 0o600, flush: true }));
    // What came last is the digest of all before: it stays at the end of the file, as the tools expect it.
    if (held === undefined || Buffer.compare(hash.digest(), held) !== 0)
      throw wrong('the snapshot does not match its checksum', EtcdctlExit.error);
    const path = await nameOf();
    if (path === undefined) await rm(part, { force: true });
    else {
      await rename(part, path);
      await syncFolder(dirname(path));
    }
    return path;
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}
