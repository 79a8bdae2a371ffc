/**
 * What pods leave behind while they live and after they went: instances of containers that ended, with their logs and last words, sandboxes that were
 * replaced, folders of pods that nobody knows any more. Each container keeps its newest instance and one that ended before it.
 */
import type { RuntimeService } from '#cri-client/client.ts';
import type { NodeFiles } from '#host/node-files.ts';
import { parentFolder } from '#host/path.ts';
import { podLogFolder } from './container-config.ts';
import type { Pod } from './pod.ts';
import type { PodResources } from './pod-resources.ts';
import type { RuntimeContainer, RuntimePod } from './runtime-pod.ts';

/** Besides the newest. Upstream's --maximum-dead-containers-per-container. */
const endedKept = 1;

export interface GarbageDeps {
  readonly runtime: RuntimeService;
  readonly files: NodeFiles;
  readonly resources: PodResources;
  /** `/var/log/pods` */
  readonly logRoot: string;
}

export class Garbage {
  readonly #deps: GarbageDeps;

  constructor(deps: GarbageDeps) {
    this.#deps = deps;
  }

  /** Removes of a pod that lives what is older than what its status and its logs tell of. */
  async tidy(runtime: RuntimePod): Promise<void> {
    const { containers, sandboxes } = runtime;
    const old = supernumerary(containers);
    for (const container of old) await this.#removeContainer(runtime.uid, container);
    const removed = new Set(old.map(({ id }) => id));
    const inUse = new Set(containers.filter(({ id }) => !removed.has(id)).map(({ sandboxId }) => sandboxId));
    for (const { id, ready } of sandboxes.slice(1))
      if (!ready && !inUse.has(id)) await this.#deps.runtime.removePodSandbox({ podSandboxId: id });
  }

  /** Of a pod that is gone. */
  async removeLogs(pod: Pod): Promise<void> {
    await this.#deps.files.removeTree(podLogFolder(this.#deps.logRoot, pod));
  }

  /** Removes logs and volumes of pods that are not among `uids`: they went while no kubelet was there. */
  async removeOrphans(uids: ReadonlySet<string>): Promise<void> {
    const { files, logRoot, resources } = this.#deps;
    for (const name of await files.listFolder(logRoot)) {
      // NAMESPACE_NAME_UID, none of which has an underscore.
      const [, , uid] = name.split('_');
      if (uid !== undefined && !uids.has(uid)) await files.removeTree(`${logRoot}/${name}`);
    }
    for (const uid of await resources.podsWithVolumes()) if (!uids.has(uid)) await resources.unmountVolumes(uid);
  }

  async #removeContainer(podUid: string, { id, name, attempt, logPath }: RuntimeContainer): Promise<void> {
    const { files, resources, runtime } = this.#deps;
    await runtime.removeContainer({ containerId: id });
    await files.removeTree(resources.terminationMessagePath(podUid, name, attempt));
    if (logPath === '') return;
    // With the files it was rotated to: `0.log.20260102-030405`.
    const folder = parentFolder(logPath);
    for (const file of await files.listFolder(folder)) {
      const path = `${folder}/${file}`;
      if (path === logPath || path.startsWith(`${logPath}.`)) await files.removeTree(path);
    }
  }
}

/** Instances that have ended and are older than those that are kept. */
export function supernumerary(containers: readonly RuntimeContainer[]): RuntimeContainer[] {
  const byName = Map.groupBy(containers, ({ name }) => name);
  return [...byName.values()].flatMap((instances) =>
    instances
      .toSorted((a, b) => b.attempt - a.attempt)
      .slice(1)
      .filter(({ state }) => state === 'exited')
      .slice(endedKept),
  );
}
