/**
 * An object as the store holds it and as readers see it. In etcd: JSON without `resourceVersion`, under upstream's keys. Readers see the same bytes with
 * the `resourceVersion`, which is the key's modification revision, put in: nothing is parsed to be served. Who wants the object itself (selectors,
 * tables, the server's own parts) has it parsed once.
 */
import type { Resource } from '#api-kube/resource.ts';
import { JsonError, parseJson } from '#kube-machinery/strict-json.ts';
import type { KubeObject } from '../object.ts';

/** What cannot be read back: written by somebody else, or damaged. Text: NewCorruptObjError of k8s.io/apiserver. */
export class StoredObjectError extends Error {
  override readonly name = 'StoredObjectError';
  readonly key: string;
  /** Without the key. */
  readonly why: string;

  constructor(key: string, revision: number, problem: string) {
    const why = `object not decodable revision=${revision}: ${problem}`;
    super(`StorageError: corrupt object, Code: 7, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ${why}`);
    this.key = key;
    this.why = why;
  }
}

/** Values in larger pieces of memory are copied, so that one object does not hold a page of others. */
const sharedBytesMax = 256 << 10;

export class StoredObject {
  readonly key: string;
  /** The etcd revision of the last write. */
  readonly revision: number;
  #object: KubeObject | undefined;
  #value: Buffer | undefined;
  /** Bytes of `#value` before the first field of its metadata. */
  readonly #headBytes: number;
  #damage: StoredObjectError | undefined;

  /**
   * @param object parsed already: given where the value was read to be checked, or where there are no bytes.
   * @param headBytes 0: the value is not in the form we write, and is never copied from.
   * @param damage there is nothing to read: whoever tries is told why.
   */
  constructor(
    key: string,
    revision: number,
    {
      object,
      value,
      headBytes = 0,
      damage,
    }: { object?: KubeObject; value?: Buffer; headBytes?: number; damage?: StoredObjectError },
  ) {
    this.key = key;
    this.revision = revision;
    this.#object = object;
    this.#value = headBytes > 0 ? value : undefined;
    this.#headBytes = headBytes;
    this.#damage = damage;
  }

  /** Why it cannot be read, where that is known: what has the form that we write is looked at only when somebody wants the object. */
  get damage(): StoredObjectError | undefined {
    return this.#damage;
  }

  /** Deep-immutable, with its `resourceVersion`. @throws StoredObjectError */
  get object(): KubeObject {
    if (this.#object !== undefined) return this.#object;
    if (this.#damage === undefined) {
      const read = parsed(this.key, this.#value!, this.revision);
      if (!(read instanceof StoredObjectError)) {
        this.#object = read;
        return read;
      }
      this.#damage = read;
      // Neither are its bytes shown to anybody any more.
      this.#value = undefined;
    }
    throw this.#damage;
  }

  /** About the bytes that its JSON has. @throws StoredObjectError */
  get size(): number {
    return (this.#value ?? this.#asMade()).length + 40;
  }

  /** The same object as readers are told of at another revision. */
  at(revision: number): StoredObject {
    return new StoredObject(this.key, revision, { object: withRevision(this.object, revision) });
  }

  /** Compact JSON. @throws StoredObjectError @param revision that readers are told; another than the object's own for one that is gone */
  json(revision = this.revision): Buffer {
    const value = this.#value ?? this.#asMade();
    const head = this.#head(value);
    const version = `"resourceVersion":"${revision}",`;
    const bytes = Buffer.allocUnsafe(value.length + version.length);
    value.copy(bytes, 0, 0, head);
    bytes.write(version, head, 'latin1');
    value.copy(bytes, head + version.length, head);
    return bytes;
  }

  /**
   * Writes the JSON without `kind` and `apiVersion`, as an item of a list; `target` has {@link size} bytes from `at` on.
   * @returns where it ends
   * @throws StoredObjectError
   */
  writeItem(target: Buffer, at: number): number {
    const value = this.#value ?? this.#asMade();
    const start = `{"metadata":{"resourceVersion":"${this.revision}",`;
    const next = at + target.write(start, at, 'latin1');
    return next + value.copy(target, next, this.#head(value));
  }

  #head(value: Buffer): number {
    const head = this.#headBytes || canonicalHeadBytes(value);
    if (head === 0) throw new StoredObjectError(this.key, this.revision, 'it has no metadata');
    return head;
  }

  /** For values that were not in our form: made on the first use, and kept. */
  #asMade(): Buffer {
    this.#value = encodeStored(this.object);
    return this.#value;
  }
}

/** Folder of a kind, with its slash: `/registry/pods/`. */
export function prefixOf(resource: Resource, namespace = ''): string {
  const folder = `/registry/${resource.storagePath}/`;
  return namespace === '' ? folder : `${folder}${namespace}/`;
}

export function keyOf(resource: Resource, namespace: string, name: string): string {
  return prefixOf(resource, resource.namespaced ? namespace : '') + name;
}

/** Upstream's encoding of built-in kinds begins so; we do not read it yet. */
const protobufMagic = Buffer.from([0x6b, 0x38, 0x73, 0]);

const headBytesMax = 512;
const canonicalHead = /^\{"(?:kind|apiVersion)":"[\w./-]+","(?:kind|apiVersion)":"[\w./-]+","metadata":\{(?=")/;

/** Bytes up to the first field of the metadata, where the value has the form that {@link encodeStored} gives it; else 0. */
function canonicalHeadBytes(value: Buffer): number {
  return canonicalHead.exec(value.toString('latin1', 0, headBytesMax))?.[0].length ?? 0;
}

/** What cannot be read is an object with its {@link StoredObject.damage}: it takes its key, and is no reason to stop. */
export function decodeStored(key: string, value: Uint8Array, revision: number): StoredObject {
  const bytes =
    value.buffer.byteLength > sharedBytesMax
      ? Buffer.from(value)
      : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const headBytes = canonicalHeadBytes(bytes);
  if (headBytes > 0 && isWhole(bytes, headBytes)) return new StoredObject(key, revision, { value: bytes, headBytes });
  const read = bytes.subarray(0, 4).equals(protobufMagic)
    ? new StoredObjectError(key, revision, 'it is stored as protobuf, which is not supported')
    : parsed(key, bytes, revision);
  return new StoredObject(key, revision, read instanceof StoredObjectError ? { damage: read } : { object: read });
}

const quote = 0x22;
const backslash = 0x5c;
const opening = 0x7b;
const closing = 0x7d;
/** Brackets and braces differ in this bit. */
const braceBit = 0x20;

/** Does the object whose metadata begins at `from` end with the last byte? What was cut off is noticed here, without being parsed. */
function isWhole(value: Buffer, from: number): boolean {
  let depth = 2;
  let quoted = false;
  for (let i = from; i < value.length; i++) {
    const byte = value[i]!;
    if (quoted) {
      if (byte === backslash) i++;
      else if (byte === quote) quoted = false;
    } else if (byte === quote) quoted = true;
    else if ((byte | braceBit) === opening) depth++;
    else if ((byte | braceBit) === closing && --depth === 0) return i === value.length - 1;
  }
  return false;
}

function parsed(key: string, bytes: Buffer, revision: number): KubeObject | StoredObjectError {
  const text = bytes.toString('utf8');
  let object: { metadata?: Record<string, unknown> };
  try {
    // Our own writing, read back: strict parsing happened before it was stored.
    object = JSON.parse(text);
  } catch {
    return new StoredObjectError(key, revision, `couldn't get version/kind; json parse error: ${jsonProblem(text)}`);
  }
  if (typeof object !== 'object' || object === null || typeof object.metadata !== 'object' || object.metadata === null)
    return new StoredObjectError(key, revision, 'it is not an object');
  object.metadata['resourceVersion'] = String(revision);
  return object as unknown as KubeObject;
}

/** In upstream's words. */
function jsonProblem(text: string): string {
  try {
    parseJson(text);
  } catch (error) {
    if (error instanceof JsonError) return error.message;
  }
  return 'it is not JSON';
}

/** The bytes that are stored. */
export function encodeStored(object: KubeObject): Buffer {
  const { resourceVersion: _, ...metadata } = object.metadata;
  const { apiVersion, kind, metadata: __, ...rest } = object;
  return Buffer.from(JSON.stringify({ kind, apiVersion, metadata, ...rest }));
}

/** The object as readers will see it after a write at `revision`. */
export function withRevision(object: KubeObject, revision: number): KubeObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
}
