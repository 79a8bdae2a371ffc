/** `kubectl describe`: an object told in lines, and its events. One form for every kind. */
import type { ApiObject } from '#kube-client/resource-ref.ts';
import type { CommandContext } from '../command.ts';
import { ExitCode } from '../command.ts';
import type { Parsed } from '../flags.ts';
import { targetsOf } from './operands.ts';
import { printTable } from './print-table.ts';
import type { Session } from './session.ts';

type Described = ApiObject & Readonly<Record<string, unknown>>;

interface Event extends ApiObject {
  readonly type?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly count?: number;
  readonly lastTimestamp?: string;
  readonly source?: { readonly component?: string };
}

const headWidth = 18;

export async function describe(session: Session, parsed: Parsed, { stdout }: CommandContext): Promise<number> {
  const namespace = parsed.string('namespace') ?? session.credentials.namespace;
  const selector = parsed.string('selector');
  let first = true;
  for (const { kind, name } of await targetsOf(session, parsed.operands)) {
    const scope = kind.namespaced ? namespace : '';
    const resource = session.client.resource<Described>(kind, scope);
    const objects =
      name !== undefined
        ? [await resource.get(name)]
        : (await resource.list({ ...(selector && { labelSelector: selector }) })).items;
    for (const object of objects) {
      if (!first) stdout.write('\n\n');
      first = false;
      stdout.write(describeObject(object));
      const { items } = await session.client
        .resource<Event>({ group: '', version: 'v1', resource: 'events', namespaced: true }, scope || 'default')
        .list({ fieldSelector: `involvedObject.uid=${object.metadata.uid}` });
      stdout.write(describeEvents(items));
    }
  }
  return ExitCode.ok;
}

function describeObject({ metadata, apiVersion: _v, kind: _k, ...rest }: Described): string {
  const line = (name: string, value: string) => `${`${name}:`.padEnd(headWidth)}${value}\n`;
  let text = line('Name', metadata.name);
  if (metadata.namespace) text += line('Namespace', metadata.namespace);
  for (const [name, map] of [
    ['Labels', metadata.labels],
    ['Annotations', metadata.annotations],
  ] as const) {
    const entries = Object.entries(map ?? {}).filter(([key]) => !key.startsWith('kubectl.kubernetes.io/last-applied'));
    text += line(name, entries.map(([key, value]) => `${key}=${value}`).join(`\n${' '.repeat(headWidth)}`) || '<none>');
  }
  text += line('Created', metadata.creationTimestamp ?? '<unknown>');
  const [owner] = metadata.ownerReferences ?? [];
  if (owner !== undefined) text += line('Controlled By', `${owner.kind}/${owner.name}`);
  for (const [key, value] of Object.entries(rest)) text += lines(title(key), value, 0);
  return text;
}

function lines(name: string, value: unknown, depth: number): string {
  const indent = '  '.repeat(depth);
  if (value === null || typeof value !== 'object')
    return `${indent}${`${name}:`.padEnd(Math.max(headWidth - indent.length, name.length + 2))}${String(value)}\n`;
  if (Array.isArray(value)) {
    if (value.every((item) => typeof item !== 'object')) return lines(name, value.join(', ') || '<none>', depth);
    return `${indent}${name}:\n${value
      .map((item: Readonly<Record<string, unknown>>, i) =>
        lines(String(item['name'] ?? item['type'] ?? i), item, depth + 1),
      )
      .join('')}`;
  }
  return `${indent}${name}:\n${Object.entries(value)
    .map(([key, item]) => lines(title(key), item, depth + 1))
    .join('')}`;
}

/** `terminationGracePeriodSeconds` → `Termination Grace Period Seconds`. */
function title(key: string): string {
  return key.replace(/([a-z0-9])([A-Z])/g, '$1 $2').replace(/^./, (letter) => letter.toUpperCase());
}

function describeEvents(events: readonly Event[]): string {
  if (events.length === 0) return `${'Events:'.padEnd(headWidth)}<none>\n`;
  const rows = [...events]
    .sort((a, b) => ((a.lastTimestamp ?? '') < (b.lastTimestamp ?? '') ? -1 : 1))
    .map(({ type = '', reason = '', lastTimestamp = '', count = 1, source, message = '' }) => [
      `  ${type}`,
      reason,
      count > 1 ? `${lastTimestamp} (x${count})` : lastTimestamp,
      source?.component ?? '',
      message,
    ]);
  return `Events:\n${printTable(['  Type', 'Reason', 'Last Seen', 'From', 'Message'], rows)}`;
}
