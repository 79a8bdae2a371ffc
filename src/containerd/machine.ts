/** What this machine and our rights on it allow, read once when the daemon starts. */
import { capabilityNames } from '#api-oci/capabilities.ts';
import { kernelHasSeccomp, ownCapabilities, ownOomScoreAdj } from '#host-linux/process-status.ts';
import type { MachineFacts } from './cri/spec/container-spec.ts';

/** `architecture` by Go's name. */
export function machineFacts(architecture: string, cgroupVersion: 1 | 2): MachineFacts {
  const held = ownCapabilities();
  const capabilities = capabilityNames.filter((_name, number) => (held >> BigInt(number)) & 1n);
  return {
    architecture,
    capabilities,
    cgroupVersion,
    oomScoreAdjMin: capabilities.includes('CAP_SYS_RESOURCE') ? undefined : ownOomScoreAdj(),
    seccomp: kernelHasSeccomp(),
  };
}
