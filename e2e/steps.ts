/** Numbered steps of an end-to-end script: each runs, says whether it held, and the count stands at the end. */

export interface Steps {
  /** A step that fails is told with what went wrong; the script goes on, so that one run shows all. */
  step(name: string, run: () => Promise<void> | void): Promise<void>;
  /** Prints `N of N` and the line that CI counts. @returns the exit code */
  finish(): number;
}

export function createSteps(): Steps {
  let count = 0;
  let passed = 0;
  return {
    async step(name, run) {
      const number = ++count;
      const start = performance.now();
      const label = () => `${String(number).padStart(2)}. ${name} (${Math.round(performance.now() - start)} ms)`;
      try {
        await run();
        passed++;
        process.stdout.write(`ok      ${label()}\n`);
      } catch (error) {
        process.stdout.write(
          `FAILED  ${label()}\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
        );
      }
    },
    finish() {
      process.stdout.write(`${passed} of ${count}\n${passed} passed, ${count - passed} failed\n`);
      return passed === count && count > 0 ? 0 : 1;
    },
  };
}
