/** Two pods on one node cannot hold the same port of the host. */
import type { ContainerPort } from '#kube-client/types/core.ts';
import { type Plugin, reject } from '../framework.ts';

export const nodePorts: Plugin = {
  name: 'NodePorts',
  wantsFilter: ({ hostPorts }) => hostPorts.length > 0,
  filter(info, node) {
    for (const { hostPorts } of node.pods.values())
      if (hostPorts.some((held) => info.hostPorts.some((wanted) => conflict(held, wanted))))
        return reject("node(s) didn't have free ports for the requested pod ports");
    return undefined;
  },
  helps: (change, info) =>
    change.kind === 'NodeAdded' || (change.kind === 'AssignedPodDeleted' && info.hostPorts.length > 0),
};

const anyAddress = '0.0.0.0';

/** The unspecified address meets every other. */
function conflict(a: ContainerPort, b: ContainerPort): boolean {
  const addressOf = ({ hostIP }: ContainerPort) => hostIP || anyAddress;
  return (
    a.hostPort === b.hostPort &&
    (a.protocol ?? 'TCP') === (b.protocol ?? 'TCP') &&
    (addressOf(a) === addressOf(b) || addressOf(a) === anyAddress || addressOf(b) === anyAddress)
  );
}
