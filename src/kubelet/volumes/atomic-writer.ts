/**
 * A volume's files changed all at once: they live in a folder named after the moment, `..data` points to it, and each
 * file a pod sees is a link through `..data`. Turning that one link turns them all. The layout is upstream's, because pods
 * watch it.
 */
import {
  listFolder,
  makeFolder,
  readIfThere,
  readLinkIfThere,
  removeTree,
  replaceFile,
  replaceLink,
  setMode,
  setOwner,
} from '#host/files.ts';

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
  folder: string,
  files: ReadonlyMap<string, VolumeFile>,
  nowMs: number,
  group?: number,
): Promise<void> {
  await makeFolder(folder);
  const current = await readLinkIfThere(`${folder}/${dataLink}`);
  if (current !== undefined && (await holds(`${folder}/${current}`, files))) return;
  const version = await versionName(folder, nowMs);
  await makeFolder(`${folder}/${version}`);
  for (const [path, { bytes, mode }] of files) {
    const target = `${folder}/${version}/${path}`;
    const parent = target.slice(0, target.lastIndexOf('/'));
    await makeFolder(parent);
    await replaceFile(target, bytes, { mode, durable: false });
    if (group !== undefined) await setOwner(target, 0, group);
  }
  if (group !== undefined) {
    await setOwner(`${folder}/${version}`, 0, group);
    await setMode(`${folder}/${version}`, 0o2755);
  }
  await replaceLink(`${folder}/${dataLink}`, version);

  const names = new Set([...files.keys()].map((path) => path.split('/')[0]!));
  for (const name of names)
    if ((await readLinkIfThere(`${folder}/${name}`)) === undefined)
      await replaceLink(`${folder}/${name}`, `${dataLink}/${name}`);
  for (const name of await listFolder(folder))
    if (!names.has(name) && name !== dataLink && name !== version) await removeTree(`${folder}/${name}`);
}

/** `..2026_11_24_15_04_05.` and digits that no other version has. */
async function versionName(folder: string, nowMs: number): Promise<string> {
  const stamp = `..${new Date(nowMs).toISOString().slice(0, 19).replace(/[-T:]/g, '_')}.`;
  const taken = new Set(await listFolder(folder));
  for (let digits = (nowMs % 1000) * 1_000_000; ; digits++) {
    const name = `${stamp}${String(digits).padStart(9, '0')}`;
    if (!taken.has(name)) return name;
  }
}

async function holds(folder: string, files: ReadonlyMap<string, VolumeFile>): Promise<boolean> {
  const present = await walk(folder, '');
  if (present.length !== files.size) return false;
  for (const [path, { bytes }] of files) {
    const known = await readIfThere(`${folder}/${path}`);
    if (known === undefined || Buffer.compare(known, bytes) !== 0) return false;
  }
  return true;
}

async function walk(folder: string, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await listFolder(folder)) {
    const inside = await walk(`${folder}/${name}`, `${prefix}${name}/`);
    if (inside.length > 0) found.push(...inside);
    else found.push(`${prefix}${name}`);
  }
  return found;
}
