/**
 * Where raft says what it does, in upstream's words. A level that is absent costs nothing: its lines are not even made
 * (`logger.debug?.(...)` does not evaluate its argument).
 */
export interface RaftLogger {
  readonly debug?: (line: string) => void;
  readonly info?: (line: string) => void;
  readonly warning?: (line: string) => void;
  readonly error?: (line: string) => void;
  /** Lines that upstream writes at INFO although a busy member with asynchronous writes has one for nearly every write. */
  readonly chatter?: (line: string) => void;
}
