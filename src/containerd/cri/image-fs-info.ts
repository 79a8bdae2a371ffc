/** ImageFsInfo: what images and containers' own layers take on the disk. */
import { FilesystemUsage, type ImageFsInfoResponse } from '#api-cri/gen/api.ts';
import { type CriContext, nowNs } from './context.ts';

export async function imageFsInfo(context: CriContext): Promise<ImageFsInfoResponse> {
  const { snapshots } = context.images.deps;
  let bytes = 0;
  let inodes = 0;
  for (const { name, kind } of snapshots.list()) {
    const usage = kind === 'committed' ? await snapshots.usage(name) : await context.stats.writableLayer(name);
    bytes += usage?.bytes ?? 0;
    inodes += usage?.inodes ?? 0;
  }
  const usage = FilesystemUsage.create({
    timestamp: nowNs(context.clock),
    fsId: { mountpoint: `${context.paths.root}/io.containerd.snapshotter.v1.overlayfs` },
    usedBytes: { value: BigInt(bytes) },
    inodesUsed: { value: BigInt(inodes) },
  });
  return { imageFilesystems: [usage], containerFilesystems: [usage] };
}
