/**
 * What is particular to a kind when it is written: which fields belong to whom, defaults, validation, graceful deletion. The verbs
 * (`rest/`) are the same for every kind and ask the strategy. Pure, but for `around`, which may reserve things elsewhere.
 * Source: rest.RESTCreateStrategy and its siblings in k8s.io/apiserver.
 */
import type { FieldError } from '#kube-machinery/field-error.ts';
import type { KubeObject } from './object.ts';
import type { UserInfo } from './user.ts';

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly orphanDependents?: boolean;
  readonly propagationPolicy?: string;
  readonly dryRun?: readonly string[];
}

/** Something reserved for a write that is about to happen. */
export interface Reservation {
  /** The object to write. */
  readonly object: KubeObject;
  /** The write happened: what the old object held and the new one does not is given back. */
  commit(): Promise<void> | void;
  /** The write failed. */
  rollback(): Promise<void> | void;
}

/** Who writes, and when. */
export interface Writer {
  readonly user: UserInfo;
  /** RFC 3339. */
  readonly now: string;
}

export interface Strategy {
  /** Fills what the client left out; the same as upstream's SetDefaults. */
  defaults(object: KubeObject): KubeObject;
  prepareCreate(object: KubeObject, writer: Writer): KubeObject;
  validateCreate(object: KubeObject): readonly FieldError[];
  /** Keeps what this path may not change, such as the status, and counts the generation. */
  prepareUpdate(object: KubeObject, old: KubeObject): KubeObject;
  validateUpdate(object: KubeObject, old: KubeObject): readonly FieldError[];
  /** The same for the `status` path: everything else is kept. */
  prepareStatusUpdate(object: KubeObject, old: KubeObject, writer: Writer): KubeObject;
  validateStatusUpdate(object: KubeObject, old: KubeObject): readonly FieldError[];
  /** The `finalize` path, of namespaces alone. */
  prepareFinalize?(object: KubeObject, old: KubeObject): KubeObject;
  /** The `approval` path, of signing requests alone. */
  readonly approval?: {
    prepare(object: KubeObject, old: KubeObject, writer: Writer): KubeObject;
    validate(object: KubeObject, old: KubeObject): readonly FieldError[];
  };
  /** PUT of a name that does not exist creates it. */
  readonly allowCreateOnUpdate: boolean;
  /** PUT without a resourceVersion overwrites. */
  readonly allowUnconditionalUpdate: boolean;
  /** How long the object lives on after a delete; undefined: it goes at once. */
  graceSeconds?(object: KubeObject, options: DeleteOptions): number | undefined;
  /** Objects that a delete only marks, with the mark. */
  markDeleted?(object: KubeObject): KubeObject;
  /** More than its metadata's finalizers hold the object back. */
  holdsBack?(object: KubeObject): boolean;
  /** Reserves addresses, ports and the like around a create, update (both given) or delete (`object` undefined). */
  around?(object: KubeObject | undefined, old: KubeObject | undefined, dryRun: boolean): Promise<Reservation>;
  /** Objects disappear by themselves after so many seconds. */
  readonly ttlSeconds?: number;
  /** A delete answers with the object instead of a Status. */
  readonly returnsDeleted?: boolean;
}
