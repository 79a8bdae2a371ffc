/** Tables (meta.k8s.io/v1): what `kubectl get` prints. Columns and cells come from the kind's printer. */
import { badRequestError } from '#kube-machinery/status.ts';
import type { KubeObject } from '../object.ts';
import type { TablePrinter } from '../registry.ts';
import { type ListMeta, partialMetadataOf } from './partial-metadata.ts';

export type IncludeObject = 'None' | 'Metadata' | 'Object';

/** @throws StatusError BadRequest */
export function includeObjectOf(query: URLSearchParams): IncludeObject {
  const value = query.get('includeObject') ?? '';
  if (value === '') return 'Metadata';
  if (value === 'None' || value === 'Metadata' || value === 'Object') return value;
  throw badRequestError(`unrecognized includeObject value: ${JSON.stringify(value)}`);
}

export function tableOf(
  printer: TablePrinter,
  objects: readonly KubeObject[],
  options: {
    readonly meta: ListMeta;
    readonly include: IncludeObject;
    readonly nowMs: number;
    /** Left out after the first event of a watch. */
    readonly columns: boolean;
  },
): object {
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: options.meta,
    columnDefinitions: options.columns ? printer.columns : null,
    rows: objects.map((object) => ({
      cells: printer.row(object, options.nowMs),
      object: options.include === 'None' ? null : options.include === 'Metadata' ? partialMetadataOf(object) : object,
    })),
  };
}
