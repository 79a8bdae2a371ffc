/** A key and value where they are stored. Most are copied into an answer as they are; who looks at a field has all of them read, once. */
import { KeyValue } from '#api-etcd/gen/kv.ts';
import { Encoded } from '#wire/protobuf/encoded.ts';

export class StoredKeyValue extends Encoded implements KeyValue {
  #fields: KeyValue | undefined;

  get key(): Uint8Array {
    return this.#read().key;
  }

  get createRevision(): number {
    return this.#read().createRevision;
  }

  get modRevision(): number {
    return this.#read().modRevision;
  }

  get version(): number {
    return this.#read().version;
  }

  get value(): Uint8Array {
    return this.#read().value;
  }

  get lease(): bigint {
    return this.#read().lease;
  }

  #read(): KeyValue {
    this.#fields ??= KeyValue.decode(this.encoding);
    return this.#fields;
  }
}
