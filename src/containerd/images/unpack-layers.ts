/**
 * Unpacks an image's layers into snapshots: as many at the same time as the limit allows, each into a snapshot of its own, stacked in order
 * as they get done. Layers that are here already are not asked for.
 */
import type { Digest } from '#api-oci/digest.ts';
import { openRootedFolder } from '#host-linux/rooted-folder.ts';
import { ContentError } from '#image/error.ts';
import { type UnpackedLayer, unpackLayer } from '#image/unpack.ts';
import { SnapshotError } from '../snapshots/snapshotter.ts';
import { extractPrefix, type ImageDeps, layersAtOnceMax } from './image-deps.ts';
import { chainIds } from './local-image.ts';

/**
 * `open(i)` gives the bytes of layer `i` as they come; `without(i)` is called instead for a layer whose snapshot is here, to fetch its content if
 * that is missing. Returns the name of the topmost snapshot. Any failure cancels the others and removes what was half done.
 */
export async function unpackLayers(
  deps: ImageDeps,
  diffIds: readonly Digest[],
  layers: {
    readonly open: (layer: number, signal: AbortSignal) => AsyncIterable<Uint8Array>;
    readonly without: (layer: number, signal: AbortSignal) => Promise<void>;
  },
  signal?: AbortSignal,
): Promise<string> {
  const chain = chainIds(diffIds);
  const cancel = new AbortController();
  const combined = signal === undefined ? cancel.signal : AbortSignal.any([signal, cancel.signal]);
  const committed: Promise<void>[] = [];
  let next = 0;

  async function layer(i: number): Promise<void> {
    if (isCommitted(deps, chain[i]!)) {
      await layers.without(i, combined);
      return;
    }
    const key = `${extractPrefix}${deps.uniqueName()} ${chain[i]}`;
    await deps.snapshots.prepare(key, '');
    try {
      const folder = deps.snapshots.upperFolder(key);
      const unpacked = await unpackLayer(layers.open(i, combined), folder, {
        limits: deps.unpackLimits,
        signal: combined,
      });
      if (unpacked.diffId !== diffIds[i])
        throw new ContentError(
          'InvalidArgument',
          `wrong diff id calculated on extraction ${JSON.stringify(unpacked.diffId)}`,
        );
      await below[i];
      const parent = i === 0 ? '' : chain[i - 1]!;
      describeImplied(folder, unpacked, deps.snapshots.layerFolders(parent));
      await deps.snapshots.commit(chain[i]!, key, { parent });
    } catch (error) {
      await deps.snapshots.remove(key);
      // Another pull was first with the same layer.
      if (!(error instanceof SnapshotError && error.code === 'AlreadyExists')) throw error;
    }
  }

  /** `below[i]` resolves when layer i - 1 stands. Workers take layers in order, so that what is waited for is always under way. */
  const resolvers = Array.from({ length: chain.length + 1 }, () => Promise.withResolvers<void>());
  const below = resolvers.map(({ promise }) => promise);
  for (const promise of below) promise.catch(() => {});
  resolvers[0]!.resolve();

  async function worker(): Promise<void> {
    while (next < chain.length) {
      const i = next++;
      try {
        await layer(i);
        await below[i];
        resolvers[i + 1]!.resolve();
      } catch (error) {
        resolvers[i + 1]!.reject(error);
        cancel.abort(error);
        throw error;
      }
    }
  }
  for (let i = 0; i < Math.min(layersAtOnceMax, chain.length); i++) committed.push(worker());
  const outcomes = await Promise.allSettled(committed);
  signal?.throwIfAborted();
  // The first failure is the cause; the others were cancelled for it.
  if (cancel.signal.aborted) throw cancel.signal.reason;
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  return chain.at(-1) ?? '';
}

function isCommitted(deps: ImageDeps, name: string): boolean {
  try {
    return deps.snapshots.stat(name).kind === 'committed';
  } catch (error) {
    if (error instanceof SnapshotError && error.code === 'NotFound') return false;
    throw error;
  }
}

/** Folders that the archive left out look as the nearest layer below has them. */
function describeImplied(folder: string, unpacked: UnpackedLayer, lowerFolders: readonly string[]): void {
  if (unpacked.impliedFolders.length === 0 || lowerFolders.length === 0) return;
  using target = openRootedFolder(folder);
  const open = new Set(unpacked.impliedFolders);
  for (const lowerFolder of lowerFolders) {
    if (open.size === 0) return;
    using lower = openRootedFolder(lowerFolder);
    for (const path of open) {
      const stat = lower.stat(path);
      if (stat === undefined) continue;
      open.delete(path);
      if (!stat.isDirectory()) continue;
      target.setOwner(path, stat.uid, stat.gid);
      target.setMode(path, stat.mode & 0o7777);
      const seconds = Math.floor(stat.mtimeMs / 1000);
      target.setTime(path, seconds, Math.floor((stat.mtimeMs - seconds * 1000) * 1e6));
    }
  }
}
