/** What `up --control-planes 3` puts into a cluster's folder before it starts any of them: certificates, and a layout on free ports. */
import { ensureCertificates } from '#cluster/certificates.ts';
import { ensureComponentCertificates, ensurePeerCertificates } from '#cluster/control-planes/component-certificates.ts';
import type { ClusterLayout } from '#cluster/control-planes/layout.ts';
import type { ClusterPaths } from '#cluster/paths.ts';
import type { Clock } from '#std/clock.ts';
import type { Prng } from '#std/prng.ts';
import { freePorts } from './etcd-process.ts';

const host = '127.0.0.1';

/** @param names of the control planes */
export async function prepareControlPlanes(
  { pki: folder }: ClusterPaths,
  names: readonly string[],
  deps: { readonly clock: Clock; readonly prng: Prng },
) {
  const [port, kubeletPort, ...peerPorts] = await freePorts(2 + names.length);
  const layout: ClusterLayout = {
    controlPlanes: names.map((name, i) => ({ name, peerPort: peerPorts[i]! })),
    ...{ port: port!, kubeletPort: kubeletPort!, nodeIp: host },
    ...{ podCidr: '10.244.0.0/24', serviceCidr: '10.96.0.0/16', clusterDomain: 'cluster.local' },
  };
  const certificates = await ensureCertificates({ folder, ipAddresses: [host], dnsNames: [] }, deps);
  await ensureComponentCertificates({ folder, nodeName: 'node', nodeIp: host }, deps);
  await ensurePeerCertificates(folder, names, deps);
  return { layout, certificates };
}
