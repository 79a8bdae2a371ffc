/** What every part of a peer is given: whom it is for, and what they share. */
import type { PeerContext } from './context.ts';
import type { PeerLink } from './peer-link.ts';
import type { PeerStatus } from './peer-status.ts';

export interface PeerPart {
  readonly peerId: bigint;
  readonly context: PeerContext;
  /** The way to it. */
  readonly link: PeerLink;
  readonly status: PeerStatus;
}
