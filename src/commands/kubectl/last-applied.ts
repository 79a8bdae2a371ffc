/** The annotation by which the next `apply` knows what this one said, to the byte as upstream's kubectl writes it: both may take turns. */
import type { Manifest } from './manifests.ts';

export const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

/** @param namespace the one the object goes to; '' for kinds without */
export function withLastApplied(manifest: Manifest, namespace: string): Manifest {
  const { [lastApplied]: _, ...annotations } = manifest.metadata.annotations ?? {};
  const metadata = { ...manifest.metadata, annotations, ...(namespace !== '' && { namespace }) };
  const text = `${goJson({ ...manifest, metadata })}\n`;
  return { ...manifest, metadata: { ...metadata, annotations: { ...annotations, [lastApplied]: text } } };
}

/** As Go's encoding/json writes a map: keys in order, and nothing that HTML could read. */
function goJson(value: unknown): string {
  const text = JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
  return text.replaceAll(/[<>&\u2028\u2029]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
