/**
 * What the suites ask an etcd, and how they write its answers down. A scenario makes calls and notes every answer; ids, terms and
 * whatever else no two servers share is left out. Scenarios run in order on one server, so that revisions are comparable.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { createEtcdClient, type EtcdClient } from '#etcd-client/client.ts';
import type { WatchItem, WatchOptions } from '#etcd-client/watch-stream.ts';
import { systemClock } from '#host/clock.ts';
import type { Channel } from '#rpc/call.ts';
import { Code, RpcError } from '#wire/grpc/status.ts';

export interface Ask {
  readonly client: EtcdClient;
  readonly channel: Channel;
  /** Notes an answer, or the error. */
  note(answer: Promise<unknown>): Promise<void>;
  /** Notes the next `count` items of a watch, then leaves it. Returns once the watch is created. */
  watch(options: WatchOptions, count: number): Promise<{ done: Promise<void> }>;
  pause(ms: number): Promise<void>;
}

export interface Scenario {
  readonly name: string;
  run(ask: Ask): Promise<void>;
}

export type Answers = Readonly<Record<string, readonly unknown[]>>;

const scenarioMs = 30_000;

/** Runs scenarios on a server with an empty store. */
export async function answersOf(scenarios: readonly Scenario[], channel: Channel): Promise<Answers> {
  const client = createEtcdClient(channel, systemClock);
  const answers: Record<string, unknown[]> = {};
  for (const { name, run } of scenarios) {
    const notes: unknown[] = [];
    answers[name] = notes;
    const ask: Ask = {
      client,
      channel,
      pause,
      async note(answer) {
        notes.push(
          await answer.then(plain, (error: unknown) => {
            const { code, message } = RpcError.from(error);
            return { error: `${nameOf(code)}: ${message}` };
          }),
        );
      },
      async watch(options, count) {
        const its: unknown[] = [];
        notes.push(its);
        const items = client.watch(options)[Symbol.asyncIterator]();
        its.push(plainItem((await items.next()).value));
        const rest = async () => {
          while (eventCount(its) < count) {
            const { done, value } = await items.next();
            if (done) {
              its.push('end');
              return;
            }
            its.push(plainItem(value));
          }
          await items.return?.(undefined);
        };
        return { done: rest() };
      },
    };
    const timer = pause(scenarioMs, 'late', { ref: false });
    const outcome = await Promise.race([run(ask), timer]);
    if (outcome === 'late') notes.push('did not end');
  }
  await client[Symbol.asyncDispose]();
  return answers;
}

function nameOf(code: number): string {
  return Object.entries(Code).find(([, value]) => value === code)?.[0] ?? String(code);
}

function plainItem(item: WatchItem): unknown {
  return plain(item);
}

/** Events are counted one by one: how they are batched is the server's affair. */
function eventCount(items: readonly unknown[]): number {
  return items.reduce<number>((count, item) => count + ((item as { events?: unknown[] }).events?.length ?? 1), -1);
}

const unshared = new Set(['clusterId', 'memberId', 'raftTerm', '$typeName']);

/** A message as JSON: bytes as text, 64-bit numbers as decimal text, nothing that is zero. */
export function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}`;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1');
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value)
    .filter(([name]) => !unshared.has(name))
    .map(([name, inner]) => [name, plain(inner)] as const)
    .filter(([, inner]) => !isZero(inner));
  return Object.fromEntries(entries);
}

function isZero(value: unknown): boolean {
  return (
    value === undefined ||
    value === 0 ||
    value === '0' ||
    value === '' ||
    value === false ||
    (Array.isArray(value) && value.length === 0)
  );
}
