/** What a trace's command has printed so far: the log lines of the level that is on, and what the commands say themselves. */
import type { RaftLogger } from '#raft/logger.ts';

const levels = ['DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL', 'NONE'] as const;
type Level = (typeof levels)[number];

export class TraceOutput {
  #text = '';
  #level = 0;
  readonly logger: RaftLogger = {
    debug: (line) => this.#log('DEBUG', line),
    info: (line) => this.#log('INFO', line),
    chatter: (line) => this.#log('INFO', line),
    warning: (line) => this.#log('WARN', line),
    error: (line) => this.#log('ERROR', line),
  };

  #log(level: Level, line: string): void {
    if (levels.indexOf(level) >= this.#level) this.write(`${level} ${line}\n`);
  }

  /** Nothing at all is printed, but errors of commands. */
  get quiet(): boolean {
    return this.#level === levels.indexOf('NONE');
  }

  write(text: string): void {
    if (!this.quiet) this.#text += text;
  }

  /** The text so far; the output is empty then. */
  take(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }

  setLevel(name: string): void {
    const level = levels.indexOf(name.toUpperCase() as Level);
    if (level < 0) throw new Error(`log levels must be either of [${levels.join(' ')}]`);
    this.#level = level;
  }

  /** Runs `work` with the level, and the one before afterwards. */
  withLevel(name: string | undefined, work: () => void): void {
    const before = this.#level;
    try {
      if (name !== undefined) this.setLevel(name);
      work();
    } finally {
      this.#level = before;
    }
  }

  /** What `work` prints is indented by two. */
  indented(work: () => void): void {
    const before = this.take();
    try {
      work();
    } finally {
      const lines = this.take().split('\n');
      if (lines.at(-1) === '') lines.pop();
      this.#text = before + lines.map((line) => `  ${line}\n`).join('');
    }
  }
}
