/**
 * Objects in etcd: read, create, guarded update and delete, list at a revision. Optimistic: an update is a function of the current
 * object, tried again when somebody else wrote first. Knows the etcd API and nothing of HTTP or kinds.
 * Source: storage.Interface and etcd3 store of k8s.io/apiserver.
 */
import type { KeyValue } from '#api-etcd/gen/kv.ts';
import {
  Compare,
  Compare_CompareTarget,
  PutRequest,
  RangeRequest,
  RequestOp,
  type TxnRequest,
  type TxnResponse,
} from '#api-etcd/gen/rpc.ts';
import { type EtcdClient, prefixEnd } from '#etcd-client/client.ts';
import { utf8Decode, utf8Encode } from '#std/bytes.ts';
import type { KubeObject } from '../object.ts';
import { decodeStored, encodeStored, type StoredObject, withRevision } from './stored-object.ts';

/** What an update wants done with the object it was shown. */
export type Change =
  | { readonly kind: 'put'; readonly object: KubeObject; readonly leaseId?: bigint }
  | { readonly kind: 'delete'; readonly object: KubeObject }
  /** Nothing to write: the object stays, and so does its revision. */
  | { readonly kind: 'keep'; readonly object: KubeObject };

export interface ChangeResult {
  readonly kind: Change['kind'];
  readonly object: KubeObject;
  readonly created: boolean;
}

export interface ListPage {
  readonly items: readonly StoredObject[];
  /** The revision the page was read at. */
  readonly revision: number;
  /** Key to go on with; undefined at the end. */
  readonly next: string | undefined;
  readonly remaining: number;
}

export interface ListOptions {
  /** The first key wanted; the prefix itself by default. */
  readonly start?: string;
  /** 0: now. */
  readonly revision?: number;
  /** 0: no limit. */
  readonly limit?: number;
}

export interface ObjectStore {
  /** Linearizable. */
  get(
    key: string,
    signal?: AbortSignal,
  ): Promise<{ readonly item: StoredObject | undefined; readonly revision: number }>;
  /** Undefined: the key is taken. */
  create(key: string, object: KubeObject, options?: { readonly leaseId?: bigint }): Promise<KubeObject | undefined>;
  /**
   * Calls `update` with the current object (undefined: none) until its result can be written. `cached` saves a read; when `update` throws
   * on it, it is asked again with the object read from the store.
   */
  update(
    key: string,
    update: (current: KubeObject | undefined) => Promise<Change> | Change,
    cached?: StoredObject,
  ): Promise<ChangeResult>;
  /** Keys from `start` (or the prefix) on, at `revision` (0: now). */
  list(prefix: string, options?: ListOptions): Promise<ListPage>;
  /** The store's revision now, linearizable. */
  currentRevision(): Promise<number>;
}

/** Writers that lose this often are starving: the request fails rather than run for ever. */
const updateAttemptsMax = 100;
const probe = RangeRequest.create({ key: utf8Encode('/registry/.revision'), keysOnly: true, limit: 1 });

export function createObjectStore(etcd: EtcdClient): ObjectStore {
  // Who asks while a read is under way may have seen something newer than it will answer: all who ask meanwhile share the next one.
  let reading: Promise<number> | undefined;
  let following: Promise<number> | undefined;
  const readRevision = (): Promise<number> => {
    reading = etcd
      .range(probe)
      .then(({ header }) => header!.revision)
      .finally(() => {
        reading = undefined;
      });
    return reading;
  };

  async function get(key: string, signal?: AbortSignal) {
    const response = await etcd.range({ key: utf8Encode(key) }, signal ? { signal } : {});
    const [kv] = response.kvs;
    return { item: kv && decode(kv), revision: response.header!.revision };
  }

  return {
    get,

    async create(key, object, options) {
      const response = await etcd.txn(guarded(key, 0, put(key, object, options?.leaseId)));
      return response.succeeded ? withRevision(object, response.header!.revision) : undefined;
    },

    async update(key, update, cached) {
      let current = cached;
      let fresh = false;
      if (current === undefined) {
        current = (await get(key)).item;
        fresh = true;
      }
      for (let attempt = 0; attempt < updateAttemptsMax; attempt++) {
        let change: Change;
        try {
          change = await update(current?.object);
        } catch (error) {
          if (fresh) throw error;
          // What was refused may be refused only because the cache is behind.
          current = (await get(key)).item;
          fresh = true;
          continue;
        }
        if (change.kind === 'keep') {
          if (fresh) return { kind: 'keep', object: change.object, created: false };
          const latest = (await get(key)).item;
          if (latest?.revision === current?.revision) return { kind: 'keep', object: change.object, created: false };
          current = latest;
          fresh = true;
          continue;
        }
        const operation = change.kind === 'delete' ? deletion(key) : put(key, change.object, change.leaseId);
        const response = await etcd.txn(guarded(key, current?.revision ?? 0, operation));
        if (response.succeeded)
          return {
            kind: change.kind,
            object: withRevision(change.object, response.header!.revision),
            created: current === undefined,
          };
        const [kv] = rangeOf(response);
        current = kv && decode(kv);
        fresh = true;
      }
      throw new Error(`${key} changed ${updateAttemptsMax} times while it was being updated`);
    },

    async list(prefix, { start = prefix, revision = 0, limit = 0 } = {}) {
      const response = await etcd.range({
        key: utf8Encode(start),
        rangeEnd: prefixEnd(utf8Encode(prefix)),
        revision,
        limit,
      });
      const last = response.kvs.at(-1);
      return {
        items: response.kvs.map(decode),
        revision: revision || response.header!.revision,
        next: response.more && last ? `${utf8Decode(last.key)}\0` : undefined,
        remaining: response.count - response.kvs.length,
      };
    },

    currentRevision() {
      if (reading === undefined) return readRevision();
      following ??= reading
        .catch(() => {})
        .then(() => {
          following = undefined;
          return readRevision();
        });
      return following;
    },
  };
}

function decode(kv: KeyValue): StoredObject {
  return decodeStored(utf8Decode(kv.key), kv.value, kv.modRevision);
}

function put(key: string, object: KubeObject, leaseId = 0n): RequestOp {
  const value = PutRequest.create({ key: utf8Encode(key), value: encodeStored(object), lease: leaseId });
  return { request: { case: 'requestPut', value } };
}

function deletion(key: string): RequestOp {
  return RequestOp.create({
    request: {
      case: 'requestDeleteRange',
      value: { key: utf8Encode(key), rangeEnd: new Uint8Array(0), prevKv: false },
    },
  });
}

/** Does `operation` if the key's last write was at `revision` (0: it does not exist), else reads the key. */
function guarded(key: string, revision: number, operation: RequestOp): TxnRequest {
  return {
    compare: [
      Compare.create({
        key: utf8Encode(key),
        target: Compare_CompareTarget.MOD,
        targetUnion: { case: 'modRevision', value: revision },
      }),
    ],
    success: [operation],
    failure: [{ request: { case: 'requestRange', value: RangeRequest.create({ key: utf8Encode(key) }) } }],
  };
}

function rangeOf(response: TxnResponse): readonly KeyValue[] {
  const [op] = response.responses;
  return op?.response.case === 'responseRange' ? op.response.value.kvs : [];
}
