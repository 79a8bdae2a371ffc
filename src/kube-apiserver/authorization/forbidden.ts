/** The words of a 403. Source: responsewriters.Forbidden of k8s.io/apiserver. */
import { failure, type StatusError } from '#kube-machinery/status.ts';
import type { AuthorizationAttributes } from '../attributes.ts';

export function forbiddenRequest({ user, info }: AuthorizationAttributes, reason: string): StatusError {
  const who = `User ${JSON.stringify(user.name)}`;
  const because = reason === '' ? '' : `: ${reason}`;
  if (!info.isResourceRequest) {
    const text = `forbidden: ${who} cannot ${info.verb} path ${JSON.stringify(info.path)}${because}`;
    return failure(403, 'Forbidden', text, {});
  }
  const resource = info.subresource === '' ? info.resource : `${info.resource}/${info.subresource}`;
  const where = info.namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(info.namespace)}`;
  const qualified = info.apiGroup === '' ? info.resource : `${info.resource}.${info.apiGroup}`;
  const subject = info.name === '' ? qualified : `${qualified} ${JSON.stringify(info.name)}`;
  return failure(
    403,
    'Forbidden',
    `${subject} is forbidden: ${who} cannot ${info.verb} resource ${JSON.stringify(resource)} in API group ${JSON.stringify(info.apiGroup)} ${where}${because}`,
    {
      ...(info.name !== '' && { name: info.name }),
      ...(info.apiGroup !== '' && { group: info.apiGroup }),
      kind: info.resource,
    },
  );
}
