/** What may be limited: the runtime specification's `linux.resources`, under the name this part uses. */
export type { DeviceRule, Resources as CgroupResources } from '#api-oci/runtime-spec.ts';
