/**
 * The seam of admission: plugins that may change an object (mutating, asked first) or refuse it (validating, asked after) before it
 * is stored. Plugins may wait; they run inside the guarded update, so they always see the object that will be written.
 * Source: k8s.io/apiserver admission.Interface.
 */
import type { Resource } from '#api-kube/resource.ts';
import type { KubeObject } from './object.ts';
import type { UserInfo } from './user.ts';

export type Operation = 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';

export interface AdmissionRequest {
  readonly operation: Operation;
  readonly resource: Resource;
  readonly subresource: string;
  readonly namespace: string;
  /** Empty on create with generateName. */
  readonly name: string;
  /** What will be stored; undefined on delete. For CONNECT, the options. */
  readonly object: KubeObject | undefined;
  /** What is stored now; undefined on create. */
  readonly oldObject: KubeObject | undefined;
  readonly user: UserInfo;
  readonly dryRun: boolean;
  readonly signal: AbortSignal;
}

export interface AdmissionPlugin {
  /** As `--enable-admission-plugins` names it. */
  readonly name: string;
  handles(request: AdmissionRequest): boolean;
  /** The object as it shall be; throws StatusError to refuse. */
  mutate?(request: AdmissionRequest): Promise<KubeObject | undefined> | KubeObject | undefined;
  /** Throws StatusError to refuse. */
  validate?(request: AdmissionRequest): Promise<void> | void;
}
