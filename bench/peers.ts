/**
 * How much of a leader the way to its peers costs: it sends entries to two followers on loopback, which acknowledge each message, by the peer
 * network alone, without raft, log or store. Both followers share a process, the leader has its own. Prints entries a second at full speed, and the
 * processor time of leader and followers at a leader's usual pace.
 *   bench/peers.ts [--seconds=N]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Entry, Message, MessageType } from '#api-etcd/gen/raft.ts';
import { type HttpPeerNetwork, startPeerNetwork } from '#etcd/peers/start.ts';
import { systemClock } from '#host/clock.ts';
import { listen } from '#transport/listen.ts';

const leaderId = 1n;
const followerIds = [2n, 3n];
const term = 2;
const dataBytes = 300;
const seconds = Number(/--seconds=(\d+)/.exec(process.argv.join(' '))?.[1] ?? 3);

interface Member extends AsyncDisposable {
  readonly url: string;
  readonly network: HttpPeerNetwork;
}

async function startMember(id: bigint, receive: (message: Message) => void): Promise<Member> {
  let handler: HttpPeerNetwork['handler'] | undefined;
  const listener = await listen({
    address: { host: '127.0.0.1', port: 0 },
    handler: (request) => handler!(request),
  });
  const url = `http://127.0.0.1:${listener.port}`;
  const none = () => {
    throw new Error('not asked here');
  };
  const network = startPeerNetwork({
    config: { memberId: id, clusterId: 9n, peerUrls: [url] },
    deps: {
      clock: systemClock,
      log() {},
      events: {
        receive,
        async receiveSnapshot() {},
        reportUnreachable() {},
        reportSnapshot() {},
        isRemoved: () => false,
        refused() {},
      },
      source: {
        members: () => [],
        clusterVersion: () => undefined,
        storageVersion: () => undefined,
        hashKv: none,
        promote: none,
        renewLease: none,
        leaseTimeToLive: none,
        downgradeEnabled: none,
      },
    },
  });
  handler = network.handler;
  return {
    url,
    network,
    async [Symbol.asyncDispose]() {
      await network[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
    },
  };
}

/** The process of the followers: told the leader's address, it prints theirs, and its processor time whenever it is asked. */
async function follow(leaderUrl: string): Promise<void> {
  const members = await Promise.all(
    followerIds.map(async (id) => {
      const member: Member = await startMember(id, (message) => {
        if (message.type !== MessageType.MsgApp) return;
        const index = message.entries.at(-1)?.index ?? message.index;
        const answer = Message.create({ type: MessageType.MsgAppResp, from: id, to: leaderId, term, index });
        member.network.send([answer]);
      });
      member.network.addPeer(leaderId, [leaderUrl]);
      return member;
    }),
  );
  process.stdout.write(`${members.map(({ url }) => url).join(' ')}\n`);
  for await (const _ of createInterface(process.stdin)) {
    const { user, system } = process.cpuUsage();
    process.stdout.write(`${user + system}\n`);
  }
  process.exit(0);
}

const followAt = /--follow=(\S+)/.exec(process.argv.join(' '))?.[1];
if (followAt !== undefined) await follow(followAt);

let waiting = () => {};
const acknowledged = new Map(followerIds.map((id) => [id, 0]));
await using leader = await startMember(leaderId, (message) => {
  acknowledged.set(message.from, message.index);
  waiting();
});
const child: ChildProcess = spawn(process.execPath, [process.argv[1]!, `--follow=${leader.url}`], {
  stdio: ['pipe', 'pipe', 'inherit'],
});
const lines = createInterface(child.stdout!)[Symbol.asyncIterator]();
const urls = (await lines.next()).value!.split(' ');
for (const [i, id] of followerIds.entries()) leader.network.addPeer(id, [urls[i]!]);
while (followerIds.some((id) => leader.network.activeSinceMs(id) === undefined)) await turn();
await new Promise((resolve) => setTimeout(resolve, 300));

const data = Buffer.alloc(dataBytes, 'x');
let index = 0;

/** Sends so many entries, as one message to each follower. */
function append(count: number): void {
  const entries = Array.from({ length: count }, (_, i) => Entry.create({ term, index: index + 1 + i, data }));
  const common = { type: MessageType.MsgApp, from: leaderId, term, logTerm: term, index, commit: index, entries };
  leader.network.send(followerIds.map((to) => Message.create({ ...common, to })));
  index += count;
}

const least = () => Math.min(...acknowledged.values());

async function followerCpuMicros(): Promise<number> {
  child.stdin!.write('\n');
  return Number((await lines.next()).value);
}

interface Figures {
  readonly perSecond: number;
  readonly leaderMicros: number;
  readonly followersMicros: number;
  readonly delayMs: number;
}

/** @param work sends entries until the deadline */
async function measure(work: (deadlineMs: number) => Promise<number[]>): Promise<Figures> {
  const before = { index, cpu: process.cpuUsage(), followers: await followerCpuMicros(), ms: performance.now() };
  const delays = await work(performance.now() + seconds * 1000);
  while (least() < index) await new Promise<void>((resolve) => (waiting = resolve));
  const tookMs = performance.now() - before.ms;
  const entries = index - before.index;
  const { user, system } = process.cpuUsage(before.cpu);
  return {
    perSecond: (entries / tookMs) * 1000,
    leaderMicros: (user + system) / entries,
    followersMicros: ((await followerCpuMicros()) - before.followers) / entries,
    delayMs: delays.sort((a, b) => a - b)[delays.length >> 1] ?? Number.NaN,
  };
}

/** As fast as it goes, with so many entries under way. */
async function flood(batch: number, underWayMax: number, deadlineMs: number): Promise<number[]> {
  while (performance.now() < deadlineMs) {
    for (let sent = 0; sent < 16 && index - least() < underWayMax; sent++) append(batch);
    if (index - least() >= underWayMax) await new Promise<void>((resolve) => (waiting = resolve));
    else await turn();
  }
  return [];
}

/** So many entries every two milliseconds; returns how long each took to be acknowledged by both. */
async function pace(batch: number, deadlineMs: number): Promise<number[]> {
  const delays: number[] = [];
  while (performance.now() < deadlineMs) {
    const startMs = performance.now();
    append(batch);
    const target = index;
    while (least() < target) await new Promise<void>((resolve) => (waiting = resolve));
    delays.push(performance.now() - startMs);
    while (performance.now() < startMs + 2) await turn();
  }
  return delays;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

process.stdout.write(`two followers, entries of ${dataBytes} bytes, ${seconds} s each; Node ${process.version}\n`);
await flood(16, 1024, performance.now() + 500);
for (const batch of [1, 16, 128]) {
  const { perSecond, leaderMicros, followersMicros } = await measure((deadlineMs) => flood(batch, 4096, deadlineMs));
  process.stdout.write(
    `full speed, ${batch} entries a message: ${Math.round(perSecond)} entries/s; processor time an entry: leader ${leaderMicros.toFixed(2)} us, both followers ${followersMicros.toFixed(2)} us\n`,
  );
}
const { perSecond, delayMs } = await measure((deadlineMs) => pace(60, deadlineMs));
process.stdout.write(
  `at ${Math.round(perSecond)} entries/s, 60 a message: acknowledged by both after ${delayMs.toFixed(2)} ms (median)\n`,
);
child.stdin!.end();
await once(child, 'exit');
