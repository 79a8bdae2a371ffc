/**
 * One other member of the cluster: two streams out, which it dials; two streams in, which we dial; posts for when a stream out is not
 * there; snapshots; probes (upstream: rafthttp's peer). And a remote, which has only the posts.
 */
import { type Message, MessageType } from '#api-etcd/gen/raft.ts';
import type { BodySink, BodySource } from '#transport/http.ts';
import { hexId, type PeerContext, type PeerTls } from './context.ts';
import { PeerLink } from './peer-link.ts';
import type { SnapshotDatabase } from './peer-network.ts';
import { PeerStatus } from './peer-status.ts';
import { Pipeline } from './pipeline.ts';
import { Prober, type ProbeStatus } from './prober.ts';
import { SnapshotSender } from './snapshot-sender.ts';
import { StreamReader } from './stream-reader.ts';
import { type StreamKind, StreamWriter } from './stream-writer.ts';

const complainEveryMs = 1000;

export class Peer implements AsyncDisposable {
  readonly id: bigint;
  readonly status: PeerStatus;
  readonly #context: PeerContext;
  readonly #link: PeerLink;
  readonly #msgApp: StreamWriter;
  readonly #message: StreamWriter;
  readonly #pipeline: Pipeline;
  readonly #snapshots: SnapshotSender;
  readonly #readers: readonly StreamReader[];
  readonly #prober: Prober;
  /** Messages dropped since that was told last. */
  #dropped = 0;
  #complainedMs: number | undefined;

  constructor(context: PeerContext, id: bigint, urls: readonly string[]) {
    this.id = id;
    this.#context = context;
    this.#link = new PeerLink(context, urls);
    const { clock, log, inform } = context;
    this.status = new PeerStatus({ id, clock, log, inform, traffic: context.traffic.of(id) });
    const shared = { peerId: id, context, link: this.#link, status: this.status };
    this.#msgApp = new StreamWriter({ ...shared, kind: 'msgapp' });
    this.#message = new StreamWriter({ ...shared, kind: 'message' });
    this.#pipeline = new Pipeline(shared);
    this.#snapshots = new SnapshotSender(shared);
    this.#readers = (['msgapp', 'message'] as const).map((kind) => new StreamReader({ ...shared, kind }));
    this.#prober = new Prober(shared);
  }

  get probe(): ProbeStatus {
    return this.#prober.status;
  }

  /** A stream stands, or the last that was tried has worked. */
  get reachable(): boolean {
    return this.#message.working || this.status.activeSinceMs !== undefined;
  }

  /** Takes a message for the way that is there; what goes to streams leaves with {@link flush}. */
  send(message: Message): void {
    if (this.#way(message).offer(message)) return;
    const { traffic, reportUnreachable } = this.#context;
    traffic.of(this.id).sendFailures++;
    reportUnreachable(message.to);
    this.#complain();
    if (message.type === MessageType.MsgSnap)
      queueMicrotask(() => this.#context.events.reportSnapshot(message.to, false));
  }

  flush(): void {
    this.#msgApp.flush();
    this.#message.flush();
  }

  sendSnapshot(message: Message, database: SnapshotDatabase): void {
    this.#snapshots.send(message, database);
  }

  /** The peer reads from here from now on. */
  attach(kind: StreamKind, sink: BodySink): BodySource {
    for (const reader of this.#readers) reader.peerIsThere();
    return (kind === 'msgapp' ? this.#msgApp : this.#message).attach(sink);
  }

  update(urls: readonly string[]): void {
    this.#link.update(urls);
  }

  reload(tls: PeerTls): void {
    this.#link.reload(tls);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#msgApp[Symbol.dispose]();
    this.#message[Symbol.dispose]();
    await Promise.all(
      [...this.#readers, this.#pipeline, this.#snapshots, this.#prober].map((part) => part[Symbol.asyncDispose]()),
    );
    await this.#link[Symbol.asyncDispose]();
    this.status[Symbol.dispose]();
  }

  /** A peer that is too slow drops thousands a second: they are told together. */
  #complain(): void {
    this.#dropped++;
    const { clock, log } = this.#context;
    if (this.#complainedMs !== undefined && clock.monotonicMs() - this.#complainedMs < complainEveryMs) return;
    log(`dropped internal Raft message since sending buffer is full: ${this.#dropped} to ${hexId(this.id)}`);
    this.#complainedMs = clock.monotonicMs();
    this.#dropped = 0;
  }

  #way(message: Message): StreamWriter | Pipeline {
    if (message.type === MessageType.MsgSnap) return this.#pipeline;
    if (message.type === MessageType.MsgApp && this.#msgApp.working) return this.#msgApp;
    return this.#message.working ? this.#message : this.#pipeline;
  }
}

/** A member that is known by its requests alone. */
export class Remote implements AsyncDisposable {
  readonly #context: PeerContext;
  readonly #id: bigint;
  readonly #link: PeerLink;
  readonly #pipeline: Pipeline;

  constructor(context: PeerContext, id: bigint, urls: readonly string[]) {
    const { clock, log, inform } = context;
    this.#context = context;
    this.#id = id;
    this.#link = new PeerLink(context, urls);
    const status = new PeerStatus({ id, clock, log, inform, traffic: context.traffic.of(id) });
    this.#pipeline = new Pipeline({ peerId: id, context, link: this.#link, status });
  }

  send(message: Message): void {
    if (!this.#pipeline.offer(message)) this.#context.traffic.of(this.#id).sendFailures++;
  }

  reload(tls: PeerTls): void {
    this.#link.reload(tls);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pipeline[Symbol.asyncDispose]();
    await this.#link[Symbol.asyncDispose]();
  }
}
