/**
 * A volume's files changed all at once: they live in a folder named after the moment, `..data` points to it, and each
 * file a pod sees is a link through `..data`. Turning that one link turns them all. The layout is upstream's, because pods
 * watch it.
 */
import type { NodeFiles } from '#host/node-files.ts';

export interface VolumeFile {
  readonly bytes: Uint8Array;
  readonly mode: number;
}

const dataLink = '..data';

/**
 * Makes `folder` hold exactly `files` (paths relative, with `/`; none begins with `..`). Nothing is written when they are there already.
 * @param nowMs names this version
 * @param group owner group of every file, for fsGroup
 */
export async function writeVolume(
  disk: NodeFiles,
  folder: string,
  files: ReadonlyMap<string, VolumeFile>,
  nowMs: number,
  group?: number,
): Promise<void> {
  await disk.makeFolder(folder);
  const current = await disk.readLinkIfThere(`${folder}/${dataLink}`);
  if (current !== undefined && (await holds(disk, `${folder}/${current}`, files))) return;
  const version = await versionName(disk, folder, nowMs);
  await disk.makeFolder(`${folder}/${version}`);
  for (const [path, { bytes, mode }] of files) {
    const target = `${folder}/${version}/${path}`;
    const parent = target.slice(0, target.lastIndexOf('/'));
    await disk.makeFolder(parent);
    await disk.replaceFile(target, bytes, { mode, durable: false });
    if (group !== undefined) await disk.setOwner(target, 0, group);
  }
  if (group !== undefined) {
    await disk.setOwner(`${folder}/${version}`, 0, group);
    await disk.setMode(`${folder}/${version}`, 0o2755);
  }
  await disk.replaceLink(`${folder}/${dataLink}`, version);

  const names = new Set([...files.keys()].map((path) => path.split('/')[0]!));
  for (const name of names)
    if ((await disk.readLinkIfThere(`${folder}/${name}`)) === undefined)
      await disk.replaceLink(`${folder}/${name}`, `${dataLink}/${name}`);
  for (const name of await disk.listFolder(folder))
    if (!names.has(name) && name !== dataLink && name !== version) await disk.removeTree(`${folder}/${name}`);
}

/** `..2026_11_24_15_04_05.` and digits that no other version has. */
async function versionName(disk: NodeFiles, folder: string, nowMs: number): Promise<string> {
  const stamp = `..${new Date(nowMs).toISOString().slice(0, 19).replace(/[-T:]/g, '_')}.`;
  const taken = new Set(await disk.listFolder(folder));
  for (let digits = (nowMs % 1000) * 1_000_000; ; digits++) {
    const name = `${stamp}${String(digits).padStart(9, '0')}`;
    if (!taken.has(name)) return name;
  }
}

async function holds(disk: NodeFiles, folder: string, files: ReadonlyMap<string, VolumeFile>): Promise<boolean> {
  const present = await walk(disk, folder, '');
  if (present.length !== files.size) return false;
  for (const [path, { bytes }] of files) {
    const known = await disk.readIfThere(`${folder}/${path}`);
    if (known === undefined || Buffer.compare(known, bytes) !== 0) return false;
  }
  return true;
}

async function walk(disk: NodeFiles, folder: string, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await disk.listFolder(folder)) {
    const inside = await walk(disk, `${folder}/${name}`, `${prefix}${name}/`);
    if (inside.length > 0) found.push(...inside);
    else found.push(`${prefix}${name}`);
  }
  return found;
}
