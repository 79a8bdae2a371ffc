/** SIGINT and SIGTERM as a question to end; a second one ends the process at once. */

export interface StopSignals extends Disposable {
  readonly asked: Promise<void>;
}

export function stopSignals(): StopSignals {
  const asked = Promise.withResolvers<void>();
  let count = 0;
  const onSignal = () => {
    if (++count > 1) process.exit(130);
    asked.resolve();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    asked: asked.promise,
    [Symbol.dispose]() {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    },
  };
}
