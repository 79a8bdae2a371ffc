/** Defaults of device claims and their templates. Source: pkg/apis/resource/v1/defaults.go. */
import type { KubeObject } from '../object.ts';
import { underZero } from './under.ts';

type Fields = Readonly<Record<string, unknown>>;

/** ResourceClaim, ResourceClaimTemplate. */
export function defaultDeviceClaim(object: KubeObject): KubeObject {
  const spec = object['spec'] as Fields | undefined;
  if (spec === undefined) return object;
  if (object.kind === 'ResourceClaim') return { ...object, spec: defaultSpec(spec) };
  const inner = spec['spec'] as Fields | undefined;
  return inner === undefined ? object : { ...object, spec: { ...spec, spec: defaultSpec(inner) } };
}

function defaultSpec(spec: Fields): Fields {
  const devices = spec['devices'] as Fields | undefined;
  const requests = devices?.['requests'];
  if (!Array.isArray(requests)) return spec;
  return { ...spec, devices: { ...devices, requests: requests.map(defaultRequest) } };
}

function defaultRequest(request: Fields): Fields {
  const { exactly, firstAvailable } = request;
  return {
    ...request,
    ...(exactly !== undefined && { exactly: defaultWanted(exactly as Fields) }),
    ...(Array.isArray(firstAvailable) && { firstAvailable: firstAvailable.map(defaultWanted) }),
  };
}

/** One device, where nothing is said. */
function defaultWanted(wanted: Fields): Fields {
  const filled = underZero<Fields>({ allocationMode: 'ExactCount' }, wanted);
  return filled['allocationMode'] === 'ExactCount' ? underZero<Fields>({ count: 1 }, filled) : filled;
}
