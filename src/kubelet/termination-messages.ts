/** The last words of containers that have ended: the file they were given, or the end of their log. Read once, kept by container. */
import type { NodeFiles } from '#host/node-files.ts';
import { LogRenderer, tailOffset } from './log-file.ts';
import type { Container, Pod } from './pod.ts';
import type { RuntimeContainer, RuntimePod } from './runtime-pod.ts';

const messageBytesMax = 4096;
const logBytesMax = 2048;
const logLinesMax = 80;

type OpenTail = Pick<NodeFiles, 'openTail'>;

export class TerminationMessages {
  readonly #files: OpenTail;
  readonly #pathOf: (uid: string, container: string, restartCount: number) => string;
  readonly #messages = new Map<string, { readonly uid: string; readonly text: string }>();

  constructor(files: OpenTail, pathOf: (uid: string, container: string, restartCount: number) => string) {
    this.#files = files;
    this.#pathOf = pathOf;
  }

  of(containerId: string): string {
    return this.#messages.get(containerId)?.text ?? '';
  }

  /** Reads what has been said since the last time. */
  async read(pod: Pod, runtime: RuntimePod): Promise<void> {
    const { uid } = pod.metadata;
    const present = new Set(runtime.containers.map(({ id }) => id));
    for (const [id, message] of this.#messages) if (message.uid === uid && !present.has(id)) this.#messages.delete(id);
    for (const container of runtime.containers) {
      if (container.state !== 'exited' || this.#messages.has(container.id)) continue;
      const spec = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find(
        ({ name }) => name === container.name,
      );
      this.#messages.set(container.id, { uid, text: await this.#message(uid, spec, container) });
    }
  }

  forget(uid: string): void {
    for (const [id, message] of this.#messages) if (message.uid === uid) this.#messages.delete(id);
  }

  async #message(uid: string, spec: Container | undefined, container: RuntimeContainer): Promise<string> {
    const path = this.#pathOf(uid, container.name, container.attempt);
    const text = await endOf(this.#files, path, messageBytesMax);
    if (text !== '' || spec?.terminationMessagePolicy !== 'FallbackToLogsOnError' || container.exitCode === 0)
      return text;
    return logEnd(this.#files, container.logPath);
  }
}

/** Empty for a file that is not there. */
async function endOf({ openTail }: OpenTail, path: string, bytesMax: number): Promise<string> {
  try {
    await using file = await openTail(path);
    const size = await file.size();
    return (await file.read(Math.max(0, size - bytesMax), bytesMax)).toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

async function logEnd({ openTail }: OpenTail, path: string): Promise<string> {
  try {
    await using file = await openTail(path);
    const size = await file.size();
    const start = await tailOffset(logLinesMax, size, (at, length) => file.read(at, length));
    const from = Math.max(start, size - 8 * logBytesMax);
    const renderer = new LogRenderer({
      follow: false,
      previous: false,
      timestamps: false,
      tailLines: undefined,
      limitBytes: undefined,
      sinceMs: undefined,
      stream: 'All',
    });
    return renderer
      .push(await file.read(from, size - from))
      .subarray(-logBytesMax)
      .toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
