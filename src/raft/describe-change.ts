/** A change of membership in one line for the log, in upstream's words. */
import { ConfChangeTransition, ConfChangeType, type ConfChangeV2 } from '#api-etcd/gen/raft.ts';

const transitions = Object.keys(ConfChangeTransition);
const types = Object.keys(ConfChangeType);

export function describeConfChange({ transition, changes, context }: ConfChangeV2): string {
  let text = `transition:${transitions[transition] ?? transition}`;
  for (const { type, nodeId } of changes) text += ` changes:{type:${types[type] ?? type} node_id:${nodeId}}`;
  if (context !== undefined && context.length > 0)
    text += ` context:${JSON.stringify(Buffer.from(context.buffer, context.byteOffset, context.length).toString())}`;
  return text;
}
