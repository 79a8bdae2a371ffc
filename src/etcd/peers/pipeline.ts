/**
 * Messages one by one, each in a POST of its own, a few at the same time: what goes out while a stream is not there, and to members that
 * are not peers yet (upstream: rafthttp's pipeline).
 */
import { Message, MessageType } from '#api-etcd/gen/raft.ts';
import { ioTimeoutMs, type PeerContext, peerHeaders } from './context.ts';
import { Deadline } from './deadline.ts';
import type { PeerLink } from './peer-link.ts';
import type { PeerPart } from './peer-part.ts';
import type { PeerStatus } from './peer-status.ts';
import { readBody } from './read-body.ts';
import { isRemoval, refusalOf } from './refusal.ts';
import type { PeerTraffic } from './traffic.ts';

/** Posts at the same time. */
const postsMax = 4;
/** Messages that wait for one of them. */
export const pipelineMessagesMax = 64;
/** A post that takes longer than this is given up: it would keep its place for as long as TCP hopes. */
const postTimeoutMs = 2 * ioTimeoutMs;
const answerBytesMax = 64 << 10;

export class Pipeline implements AsyncDisposable {
  readonly #peerId: bigint;
  readonly #context: PeerContext;
  readonly #link: PeerLink;
  readonly #status: PeerStatus;
  readonly #traffic: PeerTraffic;
  readonly #stop = new AbortController();
  readonly #posts = new Set<Promise<void>>();
  #waiting: Message[] = [];

  constructor(options: PeerPart) {
    this.#peerId = options.peerId;
    this.#context = options.context;
    this.#link = options.link;
    this.#status = options.status;
    this.#traffic = options.context.traffic.of(options.peerId);
  }

  /** Takes a message; false when too many wait. */
  offer(message: Message): boolean {
    if (this.#waiting.length >= pipelineMessagesMax) return false;
    this.#waiting.push(message);
    this.#start();
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#waiting = [];
    this.#stop.abort(new Error('stopped'));
    await Promise.all(this.#posts);
  }

  #start(): void {
    while (this.#posts.size < postsMax) {
      const message = this.#waiting.shift();
      if (message === undefined) return;
      const post: Promise<void> = this.#deliver(message).then(() => {
        this.#posts.delete(post);
        this.#start();
      });
      this.#posts.add(post);
    }
  }

  async #deliver(message: Message): Promise<void> {
    // Out of the call to `send`, which neither waits nor calls back.
    await Promise.resolve();
    const isSnapshot = message.type === MessageType.MsgSnap;
    const { events, reportUnreachable } = this.#context;
    try {
      await this.#post(Message.encode(message));
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      this.#status.deactivate({ action: 'write', source: 'pipeline' }, (error as Error).message);
      this.#traffic.sendFailures++;
      reportUnreachable(message.to);
      if (isSnapshot) events.reportSnapshot(message.to, false);
      // A removed member must stop. That the message was for somebody else has the same status, and is upstream's case too.
      if (isRemoval(error)) events.refused(error);
      return;
    }
    this.#status.activate();
    if (isSnapshot) events.reportSnapshot(message.to, true);
  }

  async #post(body: Buffer): Promise<void> {
    const url = this.#link.pick();
    using deadline = new Deadline(this.#context.clock, postTimeoutMs, this.#stop.signal);
    try {
      const response = await this.#link.request(url, {
        method: 'POST',
        path: '/raft',
        headers: [['content-type', 'application/protobuf'], ...peerHeaders(this.#context)],
        body,
        signal: deadline.signal,
      });
      if (response.status !== 204)
        throw await refusalOf(response, { context: this.#context, peerId: this.#peerId, asked: 'post' });
      await readBody(response.body, answerBytesMax);
      this.#traffic.sentBytes += body.length;
    } catch (error) {
      this.#link.unreachable(url);
      throw deadline.reasonOf(error);
    }
  }
}
