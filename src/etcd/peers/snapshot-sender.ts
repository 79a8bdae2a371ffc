/** Sends a snapshot in a request of its own: the message behind its length, then the database (upstream: rafthttp's snapshotSender). */
import type { Message } from '#api-etcd/gen/raft.ts';
import { FrameBatch } from './codec/frame-batch.ts';
import { encodeMessage } from './codec/message-stream.ts';
import { hexId, type PeerContext, peerHeaders } from './context.ts';
import { Deadline } from './deadline.ts';
import type { PeerLink } from './peer-link.ts';
import type { SnapshotDatabase } from './peer-network.ts';
import type { PeerPart } from './peer-part.ts';
import type { PeerStatus } from './peer-status.ts';
import { readBody } from './read-body.ts';
import { isRemoval, refusalOf } from './refusal.ts';
import type { PeerTraffic } from './traffic.ts';

/** Snapshots to one peer at once; raft sends one and waits. */
const snapshotsMax = 2;
/** A snapshot of which nothing goes out, or whose receipt is not answered, for this long is given up. The receiver syncs it to its disk first. */
const stallTimeoutMs = 60_000;
const answerBytesMax = 64 << 10;

export class SnapshotSender implements AsyncDisposable {
  readonly #peerId: bigint;
  readonly #context: PeerContext;
  readonly #link: PeerLink;
  readonly #status: PeerStatus;
  readonly #traffic: PeerTraffic;
  readonly #stop = new AbortController();
  readonly #sending = new Set<Promise<void>>();

  constructor(options: PeerPart) {
    this.#peerId = options.peerId;
    this.#context = options.context;
    this.#link = options.link;
    this.#status = options.status;
    this.#traffic = options.context.traffic.of(options.peerId);
  }

  send(message: Message, database: SnapshotDatabase): void {
    const sending: Promise<void> = this.#deliver(message, database).finally(() => this.#sending.delete(sending));
    this.#sending.add(sending);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('stopped'));
    await Promise.all(this.#sending);
  }

  async #deliver(message: Message, database: SnapshotDatabase): Promise<void> {
    const { events, log, inform, reportUnreachable } = this.#context;
    const what = `database snapshot at index ${message.snapshot?.metadata.index} to ${hexId(this.#peerId)}`;
    // Out of the call to `sendSnapshot`, which neither waits nor calls back.
    await Promise.resolve();
    try {
      if (this.#sending.size > snapshotsMax) throw new Error('too many snapshots under way');
      inform(`sending ${what}, ${database.bytes} bytes`);
      await this.#post(message, database);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      log(`failed to send ${what}: ${(error as Error).message}`);
      this.#traffic.sendFailures++;
      this.#traffic.snapshotSendFailures++;
      this.#status.deactivate({ action: 'post', source: 'sendMsgSnap' }, (error as Error).message);
      reportUnreachable(message.to);
      events.reportSnapshot(message.to, false);
      if (isRemoval(error)) events.refused(error);
      return;
    } finally {
      await database[Symbol.asyncDispose]();
    }
    this.#status.activate();
    this.#traffic.snapshotsSent++;
    inform(`sent ${what}`);
    events.reportSnapshot(message.to, true);
  }

  async #post(message: Message, database: SnapshotDatabase): Promise<void> {
    const url = this.#link.pick();
    using deadline = new Deadline(this.#context.clock, stallTimeoutMs, this.#stop.signal);
    const body = new SnapshotBody(message, database, (bytes) => {
      this.#traffic.sentBytes += bytes;
      deadline.moved();
    });
    const over = new AbortController();
    deadline.signal.addEventListener('abort', () => over.abort(deadline.signal.reason));
    try {
      const response = await this.#link.request(url, {
        method: 'POST',
        path: '/raft/snapshot',
        headers: [
          ['content-type', 'application/octet-stream'],
          ['content-length', String(body.bytes)],
          ...peerHeaders(this.#context),
        ],
        body,
        signal: over.signal,
      });
      if (response.status !== 204)
        throw await refusalOf(response, { context: this.#context, peerId: this.#peerId, asked: 'post' });
      await readBody(response.body, answerBytesMax);
    } catch (error) {
      this.#link.unreachable(url);
      // An answer may come before the request is out: the rest of it is not sent.
      over.abort(new Error('the snapshot was refused'));
      throw deadline.reasonOf(error);
    } finally {
      await body.done();
    }
  }
}

/** Message and database as the body of one request. */
class SnapshotBody implements AsyncIterable<Uint8Array> {
  readonly bytes: number;
  readonly #head: Buffer;
  readonly #database: SnapshotDatabase;
  readonly #sent: (bytes: number) => void;
  #reading: PromiseWithResolvers<void> | undefined;

  constructor(message: Message, database: SnapshotDatabase, sent: (bytes: number) => void) {
    const batch = new FrameBatch();
    encodeMessage(message, batch);
    this.#head = Buffer.concat(batch.take());
    this.bytes = this.#head.length + database.bytes;
    this.#database = database;
    this.#sent = sent;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    this.#reading = Promise.withResolvers();
    try {
      yield this.#head;
      let bytes = 0;
      for await (const page of this.#database.pages()) {
        bytes += page.length;
        this.#sent(page.length);
        yield page;
      }
      if (bytes !== this.#database.bytes)
        throw new Error(`the database has ${bytes} bytes, not ${this.#database.bytes}`);
    } finally {
      this.#reading.resolve();
    }
  }

  /** Resolves when nobody reads the database any more. */
  async done(): Promise<void> {
    await this.#reading?.promise;
  }
}
