/**
 * A path inside a volume, for mounts of a part of it. What a container wrote into the volume must not lead out of it: links are followed only
 * where they end inside. (Between looking and mounting a container may still change what is there: the runtime mounts by path.)
 */
import type { NodeFiles } from '#host/node-files.ts';
import { VolumeError } from './payload.ts';

/**
 * The real path of `subPath` in the volume at `base`; folders that are missing are made.
 * @throws VolumeError for a path that leaves the volume
 */
export async function resolveSubPath(files: NodeFiles, base: string, subPath: string): Promise<string> {
  if (subPath.startsWith('/') || subPath.split('/').includes('..'))
    throw new VolumeError(`subPath ${JSON.stringify(subPath)} must be a relative path below the volume`);
  await files.makeFolder(base);
  const root = await files.realPath(base);
  if (root === undefined) throw new VolumeError(`volume path ${base} is gone`);
  let path = root;
  for (const part of subPath.split('/')) {
    if (part === '' || part === '.') continue;
    const next = `${path}/${part}`;
    const kind = await files.kindOf(next);
    if (kind === undefined) await files.makeFolder(next);
    const real = kind === 'link' ? await files.realPath(next) : next;
    if (real === undefined || !(real === root || real.startsWith(root === '/' ? root : `${root}/`)))
      throw new VolumeError(`subpath ${JSON.stringify(subPath)} not within volume path ${JSON.stringify(base)}`);
    path = real;
  }
  return path;
}
