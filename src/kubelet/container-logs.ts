/** A container's log as an HTTP body: the file the runtime writes, rendered as asked for, followed while the container runs. */
import type { NodeFiles } from '#host/node-files.ts';
import { type LogOptions, LogRenderer, tailOffset } from './log-file.ts';

const chunkBytes = 64 << 10;
/** A file that tells of no change is looked at this often all the same. */
const lookAgainMs = 1000;

/**
 * @param running whether more may come
 * @throws Node's ENOENT for a log that is not there
 */
export async function* readContainerLog(
  { openTail }: Pick<NodeFiles, 'openTail'>,
  path: string,
  options: LogOptions,
  running: () => boolean,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  await using file = await openTail(path);
  const renderer = new LogRenderer(options);
  let offset =
    options.tailLines === undefined
      ? 0
      : await tailOffset(options.tailLines, await file.size(), (at, length) => file.read(at, length));
  for (;;) {
    // Asked before reading: what is written before the end is read in the round after it.
    const mayGrow = options.follow && running();
    for (;;) {
      const chunk = await file.read(offset, chunkBytes);
      if (chunk.length === 0) break;
      offset += chunk.length;
      const text = renderer.push(chunk);
      if (text.length > 0) yield text;
      if (renderer.finished || signal.aborted) return;
    }
    if (!mayGrow) return;
    if (await file.replaced()) {
      await file.reopen();
      offset = 0;
      continue;
    }
    await file.changed(lookAgainMs, signal);
    if (signal.aborted) return;
  }
}
