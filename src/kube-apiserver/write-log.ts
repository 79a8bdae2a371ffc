/** Who wrote what lately and why: the memory behind `wherry why`. Never stored, bounded, gone with the process. */
import type { RecordedWrite } from './rest/scope.ts';

const writesMax = 20_000;
const writesPerObjectMax = 20;

/** The latest writes by object, bounded; the oldest objects are forgotten first. */
export class WriteLog {
  readonly #byObject = new Map<string, RecordedWrite[]>();
  #count = 0;

  add(write: RecordedWrite): void {
    const key = `${write.resource}/${write.namespace}/${write.name}`;
    const list = this.#byObject.get(key) ?? [];
    this.#byObject.delete(key);
    this.#byObject.set(key, list);
    list.unshift(write);
    this.#count++;
    if (list.length > writesPerObjectMax) {
      list.pop();
      this.#count--;
    }
    for (const [oldest, entries] of this.#byObject) {
      if (this.#count <= writesMax) break;
      this.#byObject.delete(oldest);
      this.#count -= entries.length;
    }
  }

  of(resource: string, namespace: string, name: string): readonly RecordedWrite[] {
    return this.#byObject.get(`${resource}/${namespace}/${name}`) ?? [];
  }
}
