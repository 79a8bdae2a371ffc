/** ListImages: all images, or the one that a filter names. */
import type { ListImagesRequest, ListImagesResponse } from '#api-cri/gen/api.ts';
import type { CriContext } from './context.ts';
import { criImage } from './cri-image.ts';

export async function listImages(context: CriContext, request: ListImagesRequest): Promise<ListImagesResponse> {
  const name = request.filter?.image?.image ?? '';
  if (name === '') return { images: (await context.images.list()).map(criImage) };
  const image = await context.images.find(name);
  return { images: image === undefined ? [] : [criImage(image)] };
}
