/** `kubectl get`: tables as the server makes them, or objects as they are. */
import { stringify } from 'yaml';
import type { ApiObject } from '#kube-client/resource-ref.ts';
import { readWatchEvents } from '#kube-client/watch-events.ts';
import { StatusError } from '#kube-machinery/status.ts';
import { type CommandContext, CommandError, ExitCode } from '../command.ts';
import type { Parsed } from '../flags.ts';
import { pathOf, qualifiedKind, type Target, targetsOf } from './operands.ts';
import { printTable } from './print-table.ts';
import { readJson } from './read-answer.ts';
import type { Session } from './session.ts';

interface Table extends ApiObject {
  readonly columnDefinitions: readonly { readonly name: string; readonly priority: number }[] | null;
  readonly rows: readonly { readonly cells: readonly unknown[]; readonly object: ApiObject }[];
}

const tableType = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';

export async function get(
  session: Session,
  parsed: Parsed,
  { stdout, stderr }: CommandContext,
  signal: AbortSignal,
): Promise<number> {
  const everywhere = parsed.bool('all-namespaces');
  const namespace = everywhere ? '' : (parsed.string('namespace') ?? session.credentials.namespace);
  const output = parsed.string('output') ?? '';
  const targets = await targetsOf(session, parsed.operands);
  if (output !== '' && output !== 'wide') {
    stdout.write(await objectsAs(output, session, targets, namespace, parsed, signal));
    return ExitCode.ok;
  }
  let failed = false;
  let printed = 0;
  for (const target of targets) {
    let table: Table;
    try {
      table = await tableOf(session, target, namespace, parsed, signal);
    } catch (error) {
      if (!(error instanceof StatusError) || targets.length === 1) throw error;
      stderr.write(`Error from server (${error.reason}): ${error.message}\n`);
      failed = true;
      continue;
    }
    const columns = visible(table, output === 'wide');
    const prefix = targets.length > 1 && target.name === undefined ? `${qualifiedKind(target.kind)}/` : '';
    const rowOf = ({ cells, object }: Table['rows'][number]) => [
      ...(everywhere && target.kind.namespaced ? [object.metadata.namespace ?? ''] : []),
      ...columns.map((column, i) => (i === 0 ? prefix : '') + String(cells[column] ?? '')),
    ];
    const head = [
      ...(everywhere && target.kind.namespaced ? ['NAMESPACE'] : []),
      ...columns.map((column) => table.columnDefinitions![column]!.name.toUpperCase()),
    ];
    if (table.rows.length > 0 || parsed.bool('watch')) {
      if (printed++ > 0) stdout.write('\n');
      stdout.write(printTable(parsed.bool('no-headers') ? undefined : head, table.rows.map(rowOf)));
    }
    if (parsed.bool('watch')) await follow(session, target, namespace, parsed, table, rowOf, stdout, signal);
  }
  if (printed === 0 && !failed)
    stderr.write(
      everywhere || targets.every(({ kind }) => !kind.namespaced)
        ? 'No resources found\n'
        : `No resources found in ${namespace} namespace.\n`,
    );
  return failed ? ExitCode.failed : ExitCode.ok;
}

function visible({ columnDefinitions }: Table, wide: boolean): number[] {
  return (columnDefinitions ?? []).flatMap(({ priority }, i) => (priority === 0 || wide ? [i] : []));
}

function queryOf(parsed: Parsed, more: Readonly<Record<string, string>> = {}): string {
  const query = new URLSearchParams(more);
  const selector = parsed.string('selector');
  const fields = parsed.string('field-selector');
  if (selector) query.set('labelSelector', selector);
  if (fields) query.set('fieldSelector', fields);
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}

async function tableOf(
  session: Session,
  { kind, name }: Target,
  namespace: string,
  parsed: Parsed,
  signal: AbortSignal,
): Promise<Table> {
  const target = pathOf(kind, namespace, name) + (name === undefined ? queryOf(parsed, { limit: '500' }) : '');
  return readJson<Table>(await session.send('GET', target, tableType, signal));
}

async function follow(
  session: Session,
  { kind, name }: Target,
  namespace: string,
  parsed: Parsed,
  table: Table,
  rowOf: (row: Table['rows'][number]) => string[],
  stdout: CommandContext['stdout'],
  signal: AbortSignal,
): Promise<void> {
  const query = queryOf(parsed, {
    watch: 'true',
    resourceVersion: table.metadata.resourceVersion ?? '',
    ...(name !== undefined && { fieldSelector: `metadata.name=${name}` }),
  });
  const { body } = await session.send('GET', pathOf(kind, namespace) + query, tableType, signal);
  if (body instanceof Uint8Array) return;
  const widths = rowOf(table.rows[0] ?? { cells: [], object: table }).map((cell) => cell.length);
  for await (const { object } of readWatchEvents<Table>(body))
    for (const row of object.rows ?? [])
      stdout.write(
        `${rowOf(row)
          .map((cell, i) => cell.padEnd((widths[i] ?? 0) + 3))
          .join('')
          .trimEnd()}\n`,
      );
}

async function objectsAs(
  output: string,
  session: Session,
  targets: readonly Target[],
  namespace: string,
  parsed: Parsed,
  signal: AbortSignal,
): Promise<string> {
  const objects: ApiObject[] = [];
  let single = targets.length === 1;
  for (const { kind, name } of targets) {
    const target = pathOf(kind, namespace, name) + (name === undefined ? queryOf(parsed) : '');
    const answer = await readJson<ApiObject & { readonly items?: readonly ApiObject[] }>(
      await session.send('GET', target, 'application/json', signal),
    );
    if (name !== undefined) objects.push(answer);
    else {
      single = false;
      const apiVersion = kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
      for (const item of answer.items ?? []) objects.push({ apiVersion, kind: kind.kind, ...item });
    }
  }
  const value = single
    ? objects[0]!
    : { apiVersion: 'v1', items: objects, kind: 'List', metadata: { resourceVersion: '' } };
  switch (output) {
    case 'json':
      return `${JSON.stringify(value, null, 4)}\n`;
    case 'yaml':
      return stringify(value, { version: '1.1', lineWidth: 0, aliasDuplicateObjects: false });
    case 'name': {
      const kinds = await session.kinds();
      const nameOf = ({ kind, apiVersion = '', metadata }: ApiObject) => {
        const found = kinds.find((entry) => entry.kind === kind && apiVersion.startsWith(entry.group));
        return `${found ? qualifiedKind(found) : (kind ?? '').toLowerCase()}/${metadata.name}\n`;
      };
      return objects.map(nameOf).join('');
    }
    default:
      throw new CommandError(
        ExitCode.failed,
        `error: unable to match a printer suitable for the output format "${output}", allowed formats are: json,name,wide,yaml`,
      );
  }
}
