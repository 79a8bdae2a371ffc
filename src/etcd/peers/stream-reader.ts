/**
 * The end of a stream that reads: it dials the peer, asks for the stream, gives what arrives to the member, and dials again when the
 * stream is lost: ten times a second at first, as upstream, then less and less often, and at once when the peer shows that it is there
 * (upstream: rafthttp's streamReader).
 */
import type { Message } from '#api-etcd/gen/raft.ts';
import type { BodySource, HttpResponse } from '#transport/http.ts';
import { isLinkHeartbeat, MessageDecoder } from './codec/message-stream.ts';
import { MsgAppDecoder } from './codec/msgapp-stream.ts';
import { hexId, ioTimeoutMs, type PeerContext, peerHeaders } from './context.ts';
import { Deadline } from './deadline.ts';
import type { PeerLink } from './peer-link.ts';
import type { PeerPart } from './peer-part.ts';
import type { Failure, PeerStatus } from './peer-status.ts';
import { isRemoval, refusalOf } from './refusal.ts';
import type { StreamKind } from './stream-writer.ts';
import type { PeerTraffic } from './traffic.ts';
import { knowsStreams } from './version-check.ts';

/** Between two dials of the same address: at first, and to a peer that has not been there for long. */
const dialEveryMsMin = 100;
const dialEveryMsMax = 1000;

export class StreamReader implements AsyncDisposable {
  readonly #kind: StreamKind;
  readonly #peerId: bigint;
  readonly #context: PeerContext;
  readonly #link: PeerLink;
  readonly #status: PeerStatus;
  readonly #traffic: PeerTraffic;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #failures = 0;
  #wake: (() => void) | undefined;

  constructor(options: PeerPart & { readonly kind: StreamKind }) {
    this.#kind = options.kind;
    this.#peerId = options.peerId;
    this.#context = options.context;
    this.#link = options.link;
    this.#status = options.status;
    this.#traffic = options.context.traffic.of(options.peerId);
    this.#done = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the stream reader is stopped'));
    await this.#done;
  }

  /** The peer is there, it has just dialled this member: there is no need to wait any more. */
  peerIsThere(): void {
    this.#failures = 0;
    this.#wake?.();
  }

  async #run(): Promise<void> {
    const { clock } = this.#context;
    while (!this.#stop.signal.aborted) {
      const startedMs = clock.monotonicMs();
      await this.#once();
      const everyMs = Math.min(dialEveryMsMin * 2 ** Math.floor(this.#failures / this.#link.addresses), dialEveryMsMax);
      await this.#pause(startedMs + everyMs - clock.monotonicMs());
    }
  }

  /** Until the time is over, the peer is there, or the reader is stopped. */
  #pause(ms: number): Promise<void> {
    const { signal } = this.#stop;
    return new Promise((resolve) => {
      if (signal.aborted || ms <= 0) {
        resolve();
        return;
      }
      const over = () => {
        timer[Symbol.dispose]();
        signal.removeEventListener('abort', over);
        this.#wake = undefined;
        resolve();
      };
      const timer = this.#context.clock.after(ms, over);
      signal.addEventListener('abort', over);
      this.#wake = over;
    });
  }

  /** One stream, from dialling to its end. */
  async #once(): Promise<void> {
    let response: HttpResponse;
    try {
      response = await this.#dial();
    } catch (error) {
      this.#failures++;
      this.#lost('dial', error);
      return;
    }
    this.#failures = 0;
    this.#status.activate();
    try {
      await this.#read(response);
    } catch (error) {
      this.#lost('read', error);
    }
  }

  #lost(action: Failure['action'], error: unknown): void {
    if (this.#stop.signal.aborted) return;
    const source = this.#kind === 'msgapp' ? 'stream MsgApp v2' : 'stream Message';
    this.#status.deactivate({ action, source }, error instanceof Error ? error.message : String(error));
  }

  async #dial(): Promise<HttpResponse> {
    const { localId, dialTimeoutMs, clock } = this.#context;
    const link = this.#link;
    const url = link.pick();
    using deadline = new Deadline(clock, dialTimeoutMs + ioTimeoutMs, this.#stop.signal);
    try {
      const response = await link.request(url, {
        method: 'GET',
        path: `/raft/stream/${this.#kind}/${hexId(localId)}`,
        headers: [...peerHeaders(this.#context), ['x-raft-to', hexId(this.#peerId)]],
        signal: deadline.signal,
      });
      if (!knowsStreams(response.headers)) {
        discard(response);
        throw new Error('unsupported stream type');
      }
      if (response.status === 200) return response;
      const error = await refusalOf(response, { context: this.#context, peerId: this.#peerId, asked: 'stream' });
      if (isRemoval(error)) this.#context.events.refused(error);
      throw error;
    } catch (error) {
      link.unreachable(url);
      throw deadline.reasonOf(error);
    }
  }

  /** Resolves when the peer ends the stream; rejects when it breaks off, falls silent or is not understood. */
  #read(response: HttpResponse): Promise<void> {
    const { localId, clock } = this.#context;
    const decoder = this.#kind === 'msgapp' ? new MsgAppDecoder(localId, this.#peerId) : new MessageDecoder();
    const take = (message: Message, bytes: number) => this.#take(message, bytes);
    return new Promise((resolve, reject) => {
      let lastMs = clock.monotonicMs();
      let source: BodySource | undefined;
      const over = (settle: () => void) => {
        timer[Symbol.dispose]();
        this.#stop.signal.removeEventListener('abort', stop);
        source?.gone();
        settle();
      };
      const fail = (error: Error) => over(() => reject(error));
      const stop = () => fail(this.#stop.signal.reason as Error);
      const watch = () => {
        const silentMs = clock.monotonicMs() - lastMs;
        if (silentMs >= ioTimeoutMs) fail(new Error('i/o timeout'));
        else timer = clock.after(ioTimeoutMs - silentMs, watch);
      };
      let timer = clock.after(ioTimeoutMs, watch);
      this.#stop.signal.addEventListener('abort', stop);
      source = response.push!({
        write: (bytes) => {
          lastMs = clock.monotonicMs();
          try {
            decoder.push(bytes, take);
          } catch (error) {
            fail(error as Error);
          }
          return true;
        },
        end: () => (decoder.atBoundary ? over(resolve) : fail(new Error('unexpected EOF'))),
        destroy: (error) => fail(error ?? new Error('unexpected EOF')),
      });
      if (this.#stop.signal.aborted) stop();
    });
  }

  #take(message: Message, bytes: number): void {
    this.#traffic.receivedBytes += bytes;
    if (isLinkHeartbeat(message)) return;
    const { localId, events, log } = this.#context;
    if (events.isRemoved(message.from)) log(`rejected Raft message from removed member ${hexId(message.from)}`);
    else if (message.to !== localId) log(`rejected Raft message to mismatch member ${hexId(message.to)}`);
    else events.receive(message);
  }
}

function discard(response: HttpResponse): void {
  response.push?.({ write: () => true, end() {}, destroy() {} }).gone();
}
