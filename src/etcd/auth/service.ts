/** The Auth service while authentication is off, which is all there is: what asks about it is answered, the rest is not implemented. */
import { etcdError } from '#api-etcd/errors.ts';
import { Auth } from '#api-etcd/gen/rpc.ts';
import { type BoundService, bind } from '#rpc/call.ts';
import type { Member } from '../member.ts';

export function authService(member: Member): BoundService {
  return bind(Auth, {
    authStatus: () => ({ header: member.header(), enabled: false, authRevision: 1 }),
    authDisable: () => ({ header: member.header() }),
    authenticate() {
      throw etcdError('authNotEnabled');
    },
  });
}
