/**
 * What members refuse each other with: status and text to the letter, because the other side tells the cases apart by both
 * (upstream: rafthttp, etcdhttp, leasehttp, membership). One table; the server answers with it, the client reads by it.
 */

const table = {
  incompatibleVersion: [412, 'incompatible version'],
  clusterIdMismatch: [412, 'cluster ID mismatch'],
  toMismatch: [412, 'to field mismatch'],
  removedMember: [410, 'removed member'],
  senderNotFound: [404, 'error sender not found'],
  invalidPath: [404, 'invalid path'],
  invalidFrom: [404, 'invalid from'],
  notFound: [404, '404 page not found'],
  badPath: [400, 'bad path'],
  methodNotAllowed: [405, 'Method Not Allowed'],
  readingMessage: [400, 'error reading raft message'],
  decodingMessage: [400, 'error unmarshalling raft message'],
  wrongMessageType: [400, 'wrong raft message type'],
  processingMessage: [500, 'error processing raft message'],
  readingBody: [400, 'error reading body'],
  bodyTooLarge: [413, 'request body too large'],
  decodingRequest: [400, 'error unmarshalling request'],
  compacted: [400, 'mvcc: required revision has been compacted'],
  futureRevision: [400, 'mvcc: required revision is a future revision'],
  memberNotFound: [404, 'membership: ID not found'],
  memberNotLearner: [412, 'membership: can only promote a learner member'],
  learnerNotReady: [412, 'etcdserver: can only promote a learner member which is in sync with leader'],
  notLeader: [500, 'etcdserver: not leader'],
  leaseNotFound: [404, 'lease not found'],
  notPrimary: [500, 'not a primary lessor'],
  leaseTimeout: [408, 'waiting for node to catch up its applied index has timed out'],
} as const satisfies Record<string, readonly [status: number, text: string]>;

export type PeerErrorName = keyof typeof table;

export class PeerError extends Error {
  override readonly name = 'PeerError';
  readonly status: number;

  constructor(status: number, text: string) {
    super(text);
    this.status = status;
  }
}

export function peerError(name: PeerErrorName): PeerError {
  const [status, text] = table[name];
  return new PeerError(status, text);
}

export function isPeerError(error: unknown, name: PeerErrorName): boolean {
  const [status, text] = table[name];
  return error instanceof PeerError && error.status === status && error.message === text;
}
