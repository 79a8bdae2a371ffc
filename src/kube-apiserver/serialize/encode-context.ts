/** What every encoder is given: the representation that was asked for, and stored objects and events as the asked version has them. */
import type { KubeObject } from '../object.ts';
import type { ServedResource } from '../registry.ts';
import type { StoredObject } from '../storage/stored-object.ts';
import type { EncodedMemo } from './encoded-memo.ts';
import type { Representation } from './media.ts';
import type { IncludeObject } from './table.ts';

export interface EncodeContext {
  readonly memo: EncodedMemo;
  readonly served: ServedResource;
  readonly representation: Representation;
  readonly include: IncludeObject;
  readonly nowMs: number;
}

export type WatchEventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';

/** What a watcher is told of. */
export interface WatchEvent {
  readonly type: WatchEventType;
  readonly item: StoredObject;
  /** Of the change; another than the object's own when it is gone. */
  readonly revision: number;
  /** What the line is kept beside for other watchers; undefined: nobody else sees it. */
  readonly change?: object;
}

/** The object in the version that is served. */
export function servedOf(item: StoredObject, { conversion }: ServedResource): KubeObject {
  return conversion ? conversion.toServed(item.object) : item.object;
}

/** As readers are told of it at that revision. */
export function atRevision(item: StoredObject, revision: number): StoredObject {
  return revision === item.revision ? item : item.at(revision);
}
