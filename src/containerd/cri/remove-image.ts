/** RemoveImage: takes away an image with all its names. Of none it is fine. Containers made from it keep what they stand on. */
import type { RemoveImageRequest, RemoveImageResponse } from '#api-cri/gen/api.ts';
import type { CriContext } from './context.ts';

export async function removeImage(context: CriContext, request: RemoveImageRequest): Promise<RemoveImageResponse> {
  await context.images.remove(request.image?.image ?? '');
  return {};
}
