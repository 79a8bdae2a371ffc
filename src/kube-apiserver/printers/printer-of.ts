/** Columns of `kubectl get`, by kind. Source: pkg/printers/internalversion of kubernetes 1.36. */
import type { GroupVersionKind } from '#api-kube/resource.ts';
import type { KubeObject } from '../object.ts';
import type { TableColumn, TablePrinter } from '../registry.ts';
import { type Columns, duration } from './cells.ts';
import { clusterPrinters } from './cluster.ts';
import { corePrinters } from './core.ts';
import { networkPrinters } from './network.ts';
import { workloadPrinters } from './workloads.ts';

const printers: Readonly<Record<string, Columns>> = {
  ...corePrinters,
  ...workloadPrinters,
  ...networkPrinters,
  ...clusterPrinters,
};

const plain: Columns = { columns: ['Name', 'Age:date'], row: ({ name, age }) => [name, age] };

export function printerOf({ group, kind }: GroupVersionKind): TablePrinter {
  const { columns, row } = printers[group === '' ? kind : `${kind}.${group}`] ?? plain;
  return {
    columns: columns.map(columnOf),
    row: (object, nowMs) =>
      row(
        { name: object.metadata.name ?? '', age: ageOf(object, nowMs) },
        object as KubeObject & Readonly<Record<string, never>>,
        nowMs,
      ),
  };
}

/** `Name` or `Name:type`; a `+` before it hides it unless wide. */
function columnOf(text: string): TableColumn {
  const wide = text.startsWith('+');
  const [name = '', type = 'string'] = (wide ? text.slice(1) : text).split(':');
  return {
    name,
    // Ages are texts; the type only tells that they sort as dates.
    type: type === 'date' ? 'string' : type,
    format: name === 'Name' ? 'name' : '',
    description: '',
    priority: wide ? 1 : 0,
  };
}

function ageOf({ metadata }: KubeObject, nowMs: number): string {
  return metadata.creationTimestamp ? duration(nowMs - Date.parse(metadata.creationTimestamp)) : '<unknown>';
}
