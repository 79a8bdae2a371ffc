/**
 * Requests of the v2 API in the log. Members of 3.5 tell by them what they are called and which version the cluster has; the rest of the v2 API
 * concerns no key of ours. (upstream: etcdserverpb.Request, server/etcdserver/apply_v2.go)
 */
import { V2Request } from '#api-etcd/gen/v2_request.ts';
import { ProtobufError } from '#wire/protobuf/message.ts';
import { parseMember } from './cluster/member-json.ts';
import type { Machine } from './machine.ts';

const attributesPath = /^\/0\/members\/([0-9a-f]{1,16})\/attributes$/;
const versionPath = '/0/version';

export function applyV2Request(machine: Machine, data: Uint8Array): void {
  let request: V2Request;
  try {
    request = V2Request.decode(data);
  } catch (error) {
    // Of some other time: every member passes it over.
    if (error instanceof ProtobufError) return;
    throw error;
  }
  const { method, path, val } = request;
  if (method !== 'PUT') return;
  if (path === versionPath) machine.clusterVersion = val;
  const match = attributesPath.exec(path);
  if (match !== null) machine.members.setAttributes(BigInt(`0x${match[1]}`), parseMember(Buffer.from(val)));
}
