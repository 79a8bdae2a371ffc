/** `etcdctl auth enable|disable|status`. */
import { isEtcdError } from '#api-etcd/errors.ts';
import { Auth, AuthStatusResponse } from '#api-etcd/gen/rpc.ts';
import { printAnswer } from './print-answer.ts';
import { type Verb, wrong } from './session.ts';

const { methods } = Auth;

export const authVerbs: Readonly<Record<string, Verb>> = {
  enable: {
    async run({ channel, args, call, print }) {
      if (args.length > 0) throw wrong('auth enable command does not accept any arguments');
      try {
        await channel.unary(methods.authEnable, {}, call);
      } catch (error) {
        if (!isEtcdError(error, 'rootRoleNotExist')) throw error;
        await channel.unary(methods.roleAdd, { name: 'root' }, call);
        await channel.unary(methods.userGrantRole, { user: 'root', role: 'root' }, call);
        await channel.unary(methods.authEnable, {}, call);
      }
      print('Authentication Enabled\n');
    },
  },
  disable: {
    async run({ channel, args, call, print }) {
      if (args.length > 0) throw wrong('auth disable command does not accept any arguments');
      await channel.unary(methods.authDisable, {}, call);
      print('Authentication Disabled\n');
    },
  },
  status: {
    async run(session) {
      if (session.args.length > 0) throw wrong('auth status command does not accept any arguments');
      const answer = await session.channel.unary(methods.authStatus, {}, session.call);
      const simple = `Authentication Status: ${answer.enabled}\nAuthRevision: ${answer.authRevision}\n`;
      printAnswer(session, AuthStatusResponse, answer, { simple });
    },
  },
};
