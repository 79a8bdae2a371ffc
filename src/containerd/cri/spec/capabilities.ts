/** Which capabilities a container gets. The default set is containerd's (and Docker's); names are the kernel's, with or without `CAP_`. */
import { capabilityNames } from '#api-oci/capabilities.ts';
import type { Capabilities } from '#api-oci/runtime-spec.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';

export const defaultCapabilities: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
];

export interface CapabilityRequest {
  readonly privileged: boolean;
  readonly add: readonly string[];
  readonly drop: readonly string[];
  readonly addAmbient: readonly string[];
}

/** `held`: what the daemon itself has; it cannot give more. Nothing is inheritable unless ambient (CVE-2022-24769). */
export function containerCapabilities(request: CapabilityRequest, held: readonly string[]): Capabilities {
  const set = new Set(request.privileged ? held : defaultCapabilities);
  const add = request.add.map(normalize);
  const drop = request.drop.map(normalize);
  // ALL comes first on both sides: a single name then takes away from it, or adds to nothing.
  if (add.includes('CAP_ALL')) for (const name of held) set.add(name);
  if (drop.includes('CAP_ALL')) set.clear();
  for (const name of add) if (name !== 'CAP_ALL') set.add(known(name));
  for (const name of drop) if (name !== 'CAP_ALL') set.delete(known(name));
  const ambient = request.addAmbient.map(normalize).map(known);
  for (const name of ambient) set.add(name);
  const all = [...set].filter((name) => held.includes(name)).sort();
  return { bounding: all, effective: all, permitted: all, inheritable: ambient, ambient };
}

/** Names of the capabilities in a mask, as `/proc/PID/status` shows one. */
export function capabilitiesOf(mask: bigint): string[] {
  return capabilityNames.filter((_, number) => ((mask >> BigInt(number)) & 1n) === 1n);
}

function normalize(name: string): string {
  const upper = name.toUpperCase();
  return upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
}

function known(name: string): string {
  if (!capabilityNames.includes(name))
    throw new RpcError(Code.InvalidArgument, `unknown capability to add or drop: ${JSON.stringify(name)}`);
  return name;
}
