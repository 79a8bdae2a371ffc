/** SIGINT and SIGTERM as a question to end; a second one ends the process at once. */

export interface StopSignals extends Disposable {
  readonly asked: Promise<void>;
  /** Aborts then. */
  readonly signal: AbortSignal;
}

export function stopSignals(): StopSignals {
  const asked = Promise.withResolvers<void>();
  const aborter = new AbortController();
  let count = 0;
  const onSignal = () => {
    if (++count > 1) process.exit(130);
    asked.resolve();
    aborter.abort(new Error('asked to stop'));
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    asked: asked.promise,
    signal: aborter.signal,
    [Symbol.dispose]() {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    },
  };
}
