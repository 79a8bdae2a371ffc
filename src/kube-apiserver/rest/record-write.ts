/** Keeps who wrote what and why; the writer names its reason in a header, which is never stored in the object. */
import { header } from '#transport/http.ts';
import type { KubeObject } from '../object.ts';
import type { RestScope } from './scope.ts';

export const causeHeader = 'x-wherry-cause';
const causeLengthMax = 512;

export function recordWrite({ deps, request, served, user }: RestScope, verb: string, object: KubeObject): void {
  const { group, resource } = served.resource;
  deps.recordWrite({
    verb,
    resource: group === '' ? resource : `${resource}.${group}`,
    namespace: object.metadata.namespace ?? '',
    name: object.metadata.name ?? '',
    user: user.name,
    cause: causeOf(header(request.headers, causeHeader)),
    resourceVersion: object.metadata.resourceVersion ?? '',
    atMs: deps.clock.now(),
  });
}

/** Percent-encoded on the wire, since headers are ASCII; what is not properly so is shown as it came. */
function causeOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    return decodeURIComponent(text).slice(0, causeLengthMax);
  } catch {
    return text.slice(0, causeLengthMax);
  }
}
