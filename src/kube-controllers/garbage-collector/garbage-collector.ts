/**
 * The garbage collector: deletes what has lost its last owner, waits with owners that are deleted in the foreground, lets the
 * dependents of orphaning owners go. Upstream's pkg/controller/garbagecollector in duty. The graph only says where to look; every
 * decision is made on what the server answers.
 */
import type { ApiObject } from '#kube-client/resource-ref.ts';
import type { OwnerReference } from '#kube-client/types/meta.ts';
import { sleep } from '#std/clock.ts';
import { type ControllerContext, createWorker, orNotFound } from '../controller.ts';
import { blocks, foregroundFinalizer, type GraphNode, type Identity, OwnerGraph, orphanFinalizer } from './graph.ts';
import { Monitors } from './monitors.ts';

/** How often the kinds that are served are looked up anew. */
const refreshMs = 30_000;

export function startGarbageCollector(context: ControllerContext): { run(): void } {
  const { client, clock, prng, log, scope } = context;
  const deletions = createWorker(context, attemptToDelete, 20);
  const orphans = createWorker(context, attemptToOrphan, 5);
  const graph = new OwnerGraph({
    attemptToDelete: (uid) => deletions.queue.add(uid),
    attemptToOrphan: (uid) => orphans.queue.add(uid),
  });
  const monitors = scope.use(new Monitors({ client, graph, clock, prng, log }));

  return {
    run() {
      scope.run(
        async (signal) => {
          for (let started = false; !signal.aborted; ) {
            try {
              await monitors.refresh(signal);
              // Before everything was seen once, an owner may only seem to be missing.
              if (!started) {
                deletions.run();
                orphans.run();
              }
              started = true;
            } catch (error) {
              if (signal.aborted) return;
              log(`discovery failed: ${error instanceof Error ? error.message : error}`);
            }
            await sleep(clock, started ? refreshMs : 1000, signal).catch(() => {});
          }
        },
        (error) => log(`monitors ended: ${error}`),
      );
    },
  };

  function resourceOf(identity: Identity, namespace = identity.namespace) {
    const resource = monitors.resourceOf(identity.apiVersion, identity.kind);
    if (resource === undefined)
      throw new Error(
        `unable to get REST mapping for ${identity.apiVersion}/${identity.kind}: no matches for kind ${JSON.stringify(identity.kind)} in version ${JSON.stringify(identity.apiVersion)}`,
      );
    return client
      .withCause(`${identity.kind} ${identity.name}: garbage collection`)
      .resource<ApiObject>(resource, resource.namespaced ? namespace : '');
  }

  /** Something outside namespaces names an owner inside one, but not which: nothing can be known about it. */
  function isUnreachable({ apiVersion, kind, namespace }: Identity): boolean {
    return namespace === '' && monitors.resourceOf(apiVersion, kind)?.namespaced === true;
  }

  /** The object with this uid; undefined when there is none, or another one of its name. */
  async function read(identity: Identity): Promise<ApiObject | undefined> {
    const object = await orNotFound(resourceOf(identity).get(identity.name));
    return object?.metadata.uid === identity.uid ? object : undefined;
  }

  async function attemptToDelete(uid: string): Promise<void> {
    const node = graph.get(uid);
    if (node === undefined) return;
    if (node.beingDeleted && !node.deletingDependents) return;
    // It was looked for because nobody had seen it; it was seen meanwhile.
    if (!node.virtual && node.owners.length === 0 && !node.deletingDependents) return;
    if (isUnreachable(node.identity)) return;
    const object = await read(node.identity);
    if (object === undefined) {
      graph.removed(uid);
      return;
    }
    if (node.virtual) {
      graph.observed({ ...object, apiVersion: node.identity.apiVersion, kind: node.identity.kind });
      return;
    }
    if (node.deletingDependents) return await finishForeground(node, object);
    const owners = object.metadata.ownerReferences ?? [];
    if (owners.length === 0) return;
    const { solid, dangling, waiting } = await classify(node, owners);
    if (solid.length > 0) {
      const lost = new Set([...dangling, ...waiting].map((reference) => reference.uid));
      if (lost.size > 0) await dropOwners(node.identity, object, lost);
      return;
    }
    const held = waiting.length > 0 && node.dependents.size > 0;
    if (held && [...node.dependents].some(({ deletingDependents }) => deletingDependents))
      // Around in a circle: it would wait for one that waits for it.
      await unblockOwners(node.identity, object);
    const finalizers = object.metadata.finalizers ?? [];
    const propagationPolicy = held
      ? 'Foreground'
      : finalizers.includes(orphanFinalizer)
        ? 'Orphan'
        : finalizers.includes(foregroundFinalizer)
          ? 'Foreground'
          : 'Background';
    await orNotFound(
      resourceOf(node.identity).delete(node.identity.name, { preconditions: { uid }, propagationPolicy }),
    );
  }

  /** Of an object's owners: those that live, those that are gone, and those that wait for it to go. */
  async function classify(node: GraphNode, owners: readonly OwnerReference[]) {
    const solid: OwnerReference[] = [];
    const dangling: OwnerReference[] = [];
    const waiting: OwnerReference[] = [];
    for (const reference of owners) {
      const { apiVersion, kind, name, uid } = reference;
      const identity = { apiVersion, kind, name, uid, namespace: node.identity.namespace };
      if (isUnreachable(identity)) {
        solid.push(reference);
        continue;
      }
      const owner = await read(identity);
      if (owner === undefined) dangling.push(reference);
      else if (
        owner.metadata.deletionTimestamp !== undefined &&
        owner.metadata.finalizers?.includes(foregroundFinalizer)
      )
        waiting.push(reference);
      else solid.push(reference);
    }
    return { solid, dangling, waiting };
  }

  /** An owner deleted in the foreground goes when nothing blocks it any more. */
  async function finishForeground(node: GraphNode, object: ApiObject): Promise<void> {
    const blocking = [...node.dependents].filter((dependent) => blocks(dependent, node.uid));
    if (blocking.length === 0) {
      await removeFinalizer(node.identity, object, foregroundFinalizer);
      return;
    }
    for (const dependent of blocking) if (!dependent.deletingDependents) deletions.queue.add(dependent.uid);
  }

  async function attemptToOrphan(uid: string): Promise<void> {
    const node = graph.get(uid);
    if (node === undefined) return;
    for (const { identity } of [...node.dependents]) {
      const dependent = await read(identity);
      if (dependent !== undefined) await dropOwners(identity, dependent, new Set([uid]));
    }
    const object = await read(node.identity);
    if (object !== undefined) await removeFinalizer(node.identity, object, orphanFinalizer);
  }

  async function dropOwners(identity: Identity, object: ApiObject, lost: ReadonlySet<string>): Promise<void> {
    const owners = object.metadata.ownerReferences ?? [];
    const left = owners.filter(({ uid }) => !lost.has(uid));
    if (left.length < owners.length) await patchOwners(identity, object, left);
  }

  async function unblockOwners(identity: Identity, object: ApiObject): Promise<void> {
    const owners = object.metadata.ownerReferences ?? [];
    await patchOwners(
      identity,
      object,
      owners.map((reference) => ({ ...reference, blockOwnerDeletion: false })),
    );
  }

  /** On the version that was read: a change in between starts over. */
  async function patchOwners(identity: Identity, object: ApiObject, owners: readonly OwnerReference[]): Promise<void> {
    await patchMetadata(identity, object, { ownerReferences: owners.length === 0 ? null : owners });
  }

  async function removeFinalizer(identity: Identity, object: ApiObject, finalizer: string): Promise<void> {
    const finalizers = object.metadata.finalizers ?? [];
    if (!finalizers.includes(finalizer)) return;
    const left = finalizers.filter((each) => each !== finalizer);
    await patchMetadata(identity, object, { finalizers: left.length === 0 ? null : left });
  }

  async function patchMetadata(identity: Identity, { metadata }: ApiObject, change: object): Promise<void> {
    const { resourceVersion, uid } = metadata;
    await orNotFound(
      resourceOf(identity).patch(identity.name, 'merge', { metadata: { resourceVersion, uid, ...change } }),
    );
  }
}
