/** Prefers nodes that have the pod's images already, less so the more of them are everywhere. */
import { type Plugin, scoreMax } from '../framework.ts';

const minBytes = 23 * 1024 * 1024;
const maxContainerBytes = 1000 * 1024 * 1024;

export const imageLocality: Plugin = {
  name: 'ImageLocality',
  weight: 1,
  score({ pod }, node, all) {
    const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
    let sum = 0;
    for (const { image } of containers) {
      const name = normalizeImage(image ?? '');
      const size = node.images.get(name);
      if (size !== undefined) sum += Math.floor(size * (all.imageNodes(name) / all.nodesTotal));
    }
    const maxBytes = maxContainerBytes * containers.length;
    const bounded = Math.min(Math.max(sum, minBytes), maxBytes);
    return Math.floor((scoreMax * (bounded - minBytes)) / (maxBytes - minBytes));
  },
};

/** Nodes list images with their tag. */
function normalizeImage(image: string): string {
  return image.lastIndexOf(':') <= image.lastIndexOf('/') ? `${image}:latest` : image;
}
