/** `etcdctl downgrade validate|enable|cancel`, of 3.6. */
import { DowngradeRequest_DowngradeAction, DowngradeResponse, Maintenance } from '#api-etcd/gen/rpc.ts';
import { printAnswer } from './print-answer.ts';
import { type Session, type Verb, wrong } from './session.ts';

const { VALIDATE, ENABLE, CANCEL } = DowngradeRequest_DowngradeAction;

export const downgradeVerbs: Readonly<Record<string, Verb>> = {
  validate: { run: (session) => downgrade(session, VALIDATE, 'validate', targetOf(session)) },
  enable: { run: (session) => downgrade(session, ENABLE, 'enable', targetOf(session)) },
  cancel: { run: (session) => downgrade(session, CANCEL, 'cancel', '') },
};

async function downgrade(
  session: Session,
  action: DowngradeRequest_DowngradeAction,
  name: string,
  version: string,
): Promise<void> {
  const answer = await session.channel.unary(Maintenance.methods.downgrade, { action, version }, session.call);
  const simple = `Downgrade ${name} success, cluster version ${answer.version}\n`;
  printAnswer(session, DowngradeResponse, answer, { simple });
}

function targetOf({ args }: Session): string {
  if (args.length === 0) throw wrong('TARGET_VERSION not provided');
  if (args.length > 1) throw wrong('too many arguments');
  if (args[0] === '') throw wrong('target version not provided');
  return args[0]!;
}
