/**
 * Downgrade: whether the cluster may go back one minor version, and that it is about to. The cluster's version follows its members down, and the
 * downgrade ends when the last has gone (../cluster/decided-version.ts). (upstream: server/etcdserver/version/downgrade.go)
 */
import { etcdError } from '#api-etcd/errors.ts';
import { type DowngradeRequest, DowngradeRequest_DowngradeAction, DowngradeResponse } from '#api-etcd/gen/rpc.ts';
import type { Caller } from '../auth/caller.ts';
import type { Member } from '../member.ts';
import { clusterVersion as ownVersion } from '../version.ts';

/** @throws RpcError */
export async function downgrade(
  member: Member,
  { action, version }: DowngradeRequest,
  caller: Caller,
): Promise<DowngradeResponse> {
  const target = action === DowngradeRequest_DowngradeAction.CANCEL ? '' : clusterVersionOf(version);
  await member.linearized();
  const { machine } = member;
  const current = machine.clusterVersion || ownVersion;
  const answer = () => DowngradeResponse.create({ header: member.header(), version: current });
  if (action === DowngradeRequest_DowngradeAction.CANCEL) {
    if (!machine.downgrade.enabled) throw etcdError('noInflightDowngrade');
    await member.propose({ downgradeInfoSet: { enabled: false, ver: '' } }, caller);
    return answer();
  }
  if (target !== oneLower(current)) throw etcdError('invalidDowngradeTargetVersion');
  if (machine.downgrade.enabled) throw etcdError('downgradeInProcess');
  if (action === DowngradeRequest_DowngradeAction.ENABLE)
    await member.propose({ downgradeInfoSet: { enabled: true, ver: target } }, caller);
  return answer();
}

/** A cluster has no patch version. @throws RpcError */
function clusterVersionOf(text: string): string {
  const match = /^(\d+)\.(\d+)(?:\.\d+(?:[-+].*)?)?$/.exec(text);
  if (match === null) throw etcdError('wrongDowngradeVersionFormat');
  return `${Number(match[1])}.${Number(match[2])}.0`;
}

function oneLower(version: string): string {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return `${major}.${minor - 1}.0`;
}
