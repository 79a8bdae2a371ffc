/** ImageStatus: one image; no image is an empty answer, not an error. */
import type { ImageStatusRequest, ImageStatusResponse } from '#api-cri/gen/api.ts';
import type { CriContext } from './context.ts';
import { criImage } from './cri-image.ts';

export async function imageStatus(context: CriContext, request: ImageStatusRequest): Promise<ImageStatusResponse> {
  const image = await context.images.find(request.image?.image ?? '');
  const info = new Map<string, string>();
  if (image !== undefined && request.verbose)
    info.set('info', JSON.stringify({ chainID: image.chainId, imageSpec: image.config }));
  return { image: image === undefined ? undefined : criImage(image), info };
}
