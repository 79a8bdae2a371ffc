/**
 * Where in the cgroup tree pods and containers are, in the form of the cgroup driver. With a cgroup root of the daemon's own every path is below it,
 * and what the last container of a pod leaves empty is removed; without one, the pods' folders belong to the kubelet, as upstream has it.
 */
import { removeEmptyCgroups } from '#host-linux/cgroups/remove-empty.ts';
import type { CriContext } from './context.ts';
import type { Sandbox } from './sandbox-store.ts';

/** Of pods that name no parent. */
const defaultParent = '/k8s.io';

/** `cgroupsPath` of a container's specification. */
export function cgroupsPath(context: CriContext, sandbox: Sandbox, id: string): string {
  const parent = sandbox.config.linux?.cgroupParent ?? '';
  if (context.cgroupDriver === 'systemd') return `${parent.split('/').at(-1) ?? ''}:cri-containerd:${id}`;
  return `${podCgroup(context, parent)}/${id}`;
}

/** Removes the pod's folder, and those above it, when no other sandbox is in it. Call it with the sandbox out of the store. */
export function removePodCgroup(context: CriContext, sandbox: Sandbox): void {
  if (context.cgroupRoot === '' || context.cgroupDriver === 'systemd') return;
  const parent = sandbox.config.linux?.cgroupParent ?? '';
  if (context.sandboxes.list().some(({ config }) => (config.linux?.cgroupParent ?? '') === parent)) return;
  removeEmptyCgroups(context.cgroups.folders(podCgroup(context, parent)));
}

function podCgroup({ cgroupRoot }: CriContext, parent: string): string {
  return `${cgroupRoot}${parent === '' ? defaultParent : `/${parent.replace(/^\/+|\/+$/g, '')}`}`;
}
