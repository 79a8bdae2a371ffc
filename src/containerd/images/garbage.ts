/**
 * Garbage collection of images: what no record reaches goes. Content refers to content, and to the snapshots of its layers, by labels, as in
 * containerd; a snapshot keeps those it stands on. Runs when nothing is being pulled, imported or packed.
 */
import type { Digest } from '#api-oci/digest.ts';
import { extractPrefix, type ImageDeps, Label } from './image-deps.ts';

export interface Garbage {
  readonly content: readonly Digest[];
  /** Children before their parents. */
  readonly snapshots: readonly string[];
}

/** What would be removed. */
export function findGarbage(deps: ImageDeps): Garbage {
  const keptContent = new Set<string>();
  const keptSnapshots = new Set<string>();
  const open: string[] = deps.images.list().map((image) => image.target.digest);
  for (let digest = open.pop(); digest !== undefined; digest = open.pop()) {
    if (keptContent.has(digest)) continue;
    keptContent.add(digest);
    for (const [key, value] of Object.entries(deps.content.info(digest as Digest)?.labels ?? {}))
      if (key === Label.gcContent || key.startsWith(`${Label.gcContent}.`)) open.push(value);
      else if (key === Label.gcSnapshot) keptSnapshots.add(value);
  }
  const all = deps.snapshots.list();
  const byName = new Map(all.map((info) => [info.name, info]));
  // Active snapshots and views belong to containers, which remove them; those of an unpack belong to it.
  for (const info of all) if (info.kind !== 'committed') keptSnapshots.add(info.name);
  for (const name of [...keptSnapshots])
    for (
      let parent = byName.get(name)?.parent;
      parent !== undefined && parent !== '';
      parent = byName.get(parent)?.parent
    )
      keptSnapshots.add(parent);
  const depth = (name: string): number => {
    let count = 0;
    for (let at = byName.get(name)?.parent; at !== undefined && at !== ''; at = byName.get(at)?.parent) count++;
    return count;
  };
  return {
    content: deps.content
      .list()
      .map((info) => info.digest)
      .filter((digest) => !keptContent.has(digest)),
    snapshots: all
      .map((info) => info.name)
      .filter((name) => !keptSnapshots.has(name))
      .map((name) => ({ name, depth: depth(name) }))
      .sort((a, b) => b.depth - a.depth)
      .map(({ name }) => name),
  };
}

export async function collectGarbage(deps: ImageDeps): Promise<Garbage> {
  const garbage = findGarbage(deps);
  for (const name of garbage.snapshots) await deps.snapshots.remove(name);
  for (const digest of garbage.content) await deps.content.delete(digest);
  return garbage;
}

/** After a crash: snapshots that an unpack left half done. Nothing may be unpacking. */
export async function removeHalfUnpacked(deps: ImageDeps): Promise<void> {
  for (const { name } of deps.snapshots.list()) if (name.startsWith(extractPrefix)) await deps.snapshots.remove(name);
}
