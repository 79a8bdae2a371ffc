/** Names across `.proto` files: what each message and enum is called in TypeScript, and which module it comes from. */
import type { ProtoEnum, ProtoFile, ProtoMessage } from './parse.ts';

export interface Named {
  /** Full protobuf name, `etcdserverpb.Compare.CompareResult`. */
  readonly fullName: string;
  /** TypeScript name: nested names joined by `_`. */
  readonly identifier: string;
  readonly file: ProtoFile;
  readonly kind: 'message' | 'enum';
  readonly message?: ProtoMessage;
  readonly enumeration?: ProtoEnum;
}

export class NameScope {
  readonly #byFullName = new Map<string, Named>();

  constructor(files: readonly ProtoFile[]) {
    for (const file of files) {
      for (const message of file.messages) this.#addMessage(file, message, file.package, '');
      for (const enumeration of file.enums) this.#addEnum(file, enumeration, file.package, '');
    }
  }

  /** Everything a file declares, outer before inner. */
  declaredIn(file: ProtoFile): Named[] {
    return [...this.#byFullName.values()].filter((named) => named.file === file);
  }

  /** Finds a type as protobuf does: from the innermost scope outwards. */
  resolve(type: string, scope: string, where: string): Named {
    if (type.startsWith('.')) {
      const named = this.#byFullName.get(type.slice(1));
      if (named !== undefined) return named;
    }
    for (let prefix = scope; ; prefix = prefix.includes('.') ? prefix.slice(0, prefix.lastIndexOf('.')) : '') {
      const named = this.#byFullName.get(prefix === '' ? type : `${prefix}.${type}`);
      if (named !== undefined) return named;
      if (prefix === '') throw new Error(`${where}: unknown type ${type}`);
    }
  }

  #addMessage(file: ProtoFile, message: ProtoMessage, scope: string, outer: string): void {
    const fullName = scope === '' ? message.name : `${scope}.${message.name}`;
    const identifier = outer === '' ? message.name : `${outer}_${message.name}`;
    this.#byFullName.set(fullName, { fullName, identifier, file, kind: 'message', message });
    for (const inner of message.messages) this.#addMessage(file, inner, fullName, identifier);
    for (const inner of message.enums) this.#addEnum(file, inner, fullName, identifier);
  }

  #addEnum(file: ProtoFile, enumeration: ProtoEnum, scope: string, outer: string): void {
    const fullName = scope === '' ? enumeration.name : `${scope}.${enumeration.name}`;
    const identifier = outer === '' ? enumeration.name : `${outer}_${enumeration.name}`;
    this.#byFullName.set(fullName, { fullName, identifier, file, kind: 'enum', enumeration });
  }
}
