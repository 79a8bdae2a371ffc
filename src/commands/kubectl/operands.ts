/** `pods a b`, `pod/a deploy/b`, `pods,services`, `all`: which objects a command line names. Pure, but for discovery. */
import { CommandError, ExitCode } from '../command.ts';
import type { Kind, Session } from './session.ts';

export interface Target {
  readonly kind: Kind;
  /** Undefined: all of them. */
  readonly name: string | undefined;
}

/** @throws CommandError */
export async function targetsOf(session: Session, operands: readonly string[]): Promise<Target[]> {
  const [first, ...names] = operands;
  if (first === undefined)
    throw new CommandError(
      ExitCode.failed,
      'You must specify the type of resource to get. Use "kubectl api-resources" for a complete list of supported resources.',
    );
  if (operands.some((operand) => operand.includes('/'))) {
    const targets: Target[] = [];
    for (const operand of operands) {
      const [type = '', name = '', ...rest] = operand.split('/');
      if (name === '' || rest.length > 0)
        throw new CommandError(
          ExitCode.failed,
          "there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'",
        );
      targets.push({ kind: await session.kind(type), name });
    }
    return targets;
  }
  const kinds: Kind[] = [];
  for (const type of first.split(',')) {
    const inCategory = (await session.kinds()).filter(({ categories }) => categories.includes(type));
    if (inCategory.length > 0) kinds.push(...inCategory);
    else kinds.push(await session.kind(type));
  }
  if (names.length === 0) return kinds.map((kind) => ({ kind, name: undefined }));
  return kinds.flatMap((kind) => names.map((name) => ({ kind, name })));
}

/** Path of a collection or object. */
export function pathOf({ group, version, resource, namespaced }: Kind, namespace: string, name = ''): string {
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const scope = namespaced && namespace !== '' ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${root}${scope}/${resource}${name === '' ? '' : `/${encodeURIComponent(name)}`}`;
}

/** `deployment.apps`, `pod`: as kubectl names what it did. */
export function qualifiedKind({ group, singular }: Kind): string {
  return group === '' ? singular : `${singular}.${group}`;
}
