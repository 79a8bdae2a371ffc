/** Who controls an object, and which objects a controller claims: adopts, keeps or lets go. Pure but for the claim's patches. */
import type { ResourceClient } from '#kube-client/client.ts';
import type { ApiObject } from '#kube-client/resource-ref.ts';
import type { OwnerReference } from '#kube-client/types/meta.ts';
import { matches, type Selector } from '#kube-machinery/label-selector.ts';
import { StatusError } from '#kube-machinery/status.ts';

export function controllerOf({ metadata }: ApiObject): OwnerReference | undefined {
  return metadata.ownerReferences?.find(({ controller }) => controller === true);
}

export function controllerReference(owner: ApiObject, apiVersion: string, kind: string): OwnerReference {
  return {
    apiVersion,
    kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid!,
    controller: true,
    blockOwnerDeletion: true,
  };
}

/**
 * Which of `candidates` belong to `owner`. Orphans that match are adopted, own ones that do not match any more are let go.
 * @param canAdopt asks the server whether the owner still lives; called once, before the first adoption
 * @returns the objects that are the owner's now
 */
export async function claim<T extends ApiObject>(options: {
  readonly owner: ApiObject;
  readonly reference: OwnerReference;
  readonly selector: Selector;
  readonly candidates: readonly T[];
  readonly canAdopt: () => Promise<boolean>;
  readonly resource: ResourceClient<T>;
}): Promise<T[]> {
  const { owner, reference, selector, candidates, canAdopt, resource } = options;
  const claimed: T[] = [];
  let mayAdopt: Promise<boolean> | undefined;
  for (const object of candidates) {
    const { metadata } = object;
    const controller = controllerOf(object);
    const fits = matches(selector, metadata.labels);
    if (controller !== undefined) {
      if (controller.uid !== owner.metadata.uid) continue;
      if (fits) claimed.push(object);
      else if (owner.metadata.deletionTimestamp === undefined)
        await ifThere(
          resource.patch(metadata.name, 'strategic', {
            metadata: { ownerReferences: [{ $patch: 'delete', uid: owner.metadata.uid }], uid: metadata.uid },
          }),
        );
      continue;
    }
    if (!fits || owner.metadata.deletionTimestamp !== undefined || metadata.deletionTimestamp !== undefined) continue;
    mayAdopt ??= canAdopt();
    if (!(await mayAdopt)) continue;
    const adopted = await ifThere(
      resource.patch(metadata.name, 'strategic', {
        metadata: { ownerReferences: [reference], uid: metadata.uid },
      }),
    );
    if (adopted !== undefined) claimed.push(object);
  }
  return claimed;
}

/** Undefined when the object went or became another one meanwhile: there is nothing left to claim. */
async function ifThere<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof StatusError && (error.code === 404 || error.code === 422 || error.code === 409))
      return undefined;
    throw error;
  }
}
