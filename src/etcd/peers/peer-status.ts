/** Whether the connection with a peer works, and since when: any success says yes, any failure says no. */
import type { Clock } from '#std/clock.ts';
import { hexId } from './context.ts';
import type { PeerTraffic } from './traffic.ts';

/** What failed, as upstream words it: `failed to ACTION ID on SOURCE (REASON)`. */
export interface Failure {
  readonly action: 'dial' | 'read' | 'write' | 'heartbeat' | 'post';
  readonly source: 'stream MsgApp v2' | 'stream Message' | 'pipeline' | 'sendMsgSnap';
}

export class PeerStatus {
  readonly #id: bigint;
  readonly #clock: Clock;
  readonly #traffic: PeerTraffic;
  readonly #log: (message: string) => void;
  readonly #inform: (message: string) => void;
  #activeSinceMs: number | undefined;

  constructor(options: {
    readonly id: bigint;
    readonly clock: Clock;
    readonly traffic: PeerTraffic;
    readonly log: (message: string) => void;
    readonly inform: (message: string) => void;
  }) {
    this.#id = options.id;
    this.#clock = options.clock;
    this.#traffic = options.traffic;
    this.#log = options.log;
    this.#inform = options.inform;
  }

  /** Monotonic. */
  get activeSinceMs(): number | undefined {
    return this.#activeSinceMs;
  }

  activate(): void {
    if (this.#activeSinceMs !== undefined) return;
    this.#activeSinceMs = this.#clock.monotonicMs();
    this.#traffic.active = true;
    this.#inform(`peer became active: ${hexId(this.#id)}`);
  }

  deactivate({ action, source }: Failure, reason: string): void {
    if (this.#activeSinceMs === undefined) return;
    this.#forget();
    this.#traffic.disconnects++;
    this.#log(
      `peer became inactive (message send to peer failed): failed to ${action} ${hexId(this.#id)} on ${source} (${reason})`,
    );
  }

  /** The peer is not one any more. */
  [Symbol.dispose](): void {
    this.#forget();
  }

  #forget(): void {
    this.#activeSinceMs = undefined;
    this.#traffic.active = false;
  }
}
