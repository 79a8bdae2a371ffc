/**
 * What raft refuses, as values of one class with upstream's words. Callers compare codes. What only a bug or a broken log can cause is
 * an assertion instead: a member that has seen it must not go on.
 */

const texts = {
  /** There is no leader, it is going, it has too much uncommitted, or forwarding is off. The proposer may try again. */
  'proposal-dropped': 'raft proposal dropped',
  /** A message of a type that a member only sends itself came from the network. */
  'step-local-message': 'raft: cannot step raft local message',
  /** An answer came from somebody who is not a member. */
  'step-peer-not-found': 'raft: cannot step as peer not found',
  compacted: 'requested index is unavailable due to compaction',
  unavailable: 'requested entry at index is unavailable',
  'snapshot-out-of-date': 'requested index is older than the existing snapshot',
} as const;

export type RaftErrorCode = keyof typeof texts;

export class RaftError extends Error {
  override readonly name = 'RaftError';
  readonly code: RaftErrorCode;

  constructor(code: RaftErrorCode) {
    super(texts[code]);
    this.code = code;
  }
}

/** Made once: a member under too much load drops many proposals a second, and each is the same answer. */
export const proposalDropped: RaftError = Object.freeze(new RaftError('proposal-dropped'));
export const stepLocalMessage: RaftError = Object.freeze(new RaftError('step-local-message'));
export const stepPeerNotFound: RaftError = Object.freeze(new RaftError('step-peer-not-found'));
