/** What the CRI's image RPCs share: an image as the CRI shows it. */
import { Image } from '#api-cri/gen/api.ts';
import type { NamedImage } from '../images/image-service.ts';

export function criImage(image: NamedImage): Image {
  const user = (image.config.config.User ?? '').split(':')[0]!;
  const numeric = /^[0-9]+$/.test(user);
  return Image.create({
    id: image.id,
    repoTags: image.tags,
    repoDigests: image.digests,
    size: BigInt(image.size),
    // Whether a name is root, only the container's passwd file could say.
    uid: numeric ? { value: BigInt(user) } : undefined,
    username: numeric ? '' : user,
    pinned: image.pinned,
  });
}
