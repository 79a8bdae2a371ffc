/**
 * What a daemon asks of the helper besides starting processes: sockets made inside other network namespaces, and whatever may block.
 * A socket belongs to the namespace it was made in, wherever it is used: Node reads and writes it from here on.
 */
import { Socket as NetSocket, type Socket } from 'node:net';
import { Op } from './op-codes.ts';
import { errnoText, Plan } from './plan.ts';
import type { Zygote } from './zygote.ts';

const CLONE_NEWNET = 0x40000000;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;

export interface SocketRequest {
  /** AF_*, SOCK_*, IPPROTO_*: numbers of socket(2). */
  readonly domain: number;
  readonly type: number;
  readonly protocol: number;
  /** `struct sockaddr` bytes. */
  readonly bind?: Uint8Array;
  /** Listen with this backlog. */
  readonly backlog?: number;
  readonly connect?: Uint8Array;
  /** How long a connection may take. */
  readonly timeoutMs?: number;
}

/**
 * Makes a socket inside the network namespace at `namespacePath` (`/proc/PID/ns/net`, a pinned one). Resolves with its descriptor, non-blocking
 * and close-on-exec, which the caller closes. Rejects with HelperError.
 */
export function openSocketIn(helper: Zygote, namespacePath: string, request: SocketRequest): Promise<number> {
  const none = new Uint8Array(0);
  const plan = new Plan();
  plan.op(
    Op.SETNS,
    (failure) => `${failure.text}: ${errnoText(failure.errno)}`,
    (fields) => fields.string(namespacePath).u32(CLONE_NEWNET),
  );
  plan.op(
    Op.SOCKET,
    (failure) =>
      request.connect === undefined ? `socket: ${errnoText(failure.errno)}` : `connect: ${errnoText(failure.errno)}`,
    (fields) => {
      fields.u32(request.domain).u32(request.type).u32(request.protocol).u32(1);
      fields.bytes(request.bind ?? none).u32(request.backlog ?? 0);
      fields.bytes(request.connect ?? none).u32(request.timeoutMs ?? 10_000);
    },
  );
  return helper.runForFd(plan);
}

/** Connects to a port inside a network namespace, as port-forwarding does. `address` is an IPv4 or IPv6 literal. */
export async function connectIn(
  helper: Zygote,
  namespacePath: string,
  {
    address,
    port,
    timeoutMs = 10_000,
  }: { readonly address: string; readonly port: number; readonly timeoutMs?: number },
): Promise<Socket> {
  const fd = await openSocketIn(helper, namespacePath, {
    domain: address.includes(':') ? AF_INET6 : AF_INET,
    type: SOCK_STREAM,
    protocol: 0,
    connect: socketAddress(address, port),
    timeoutMs,
  });
  return new NetSocket({ fd, readable: true, writable: true });
}

/** `struct sockaddr_in` or `sockaddr_in6` of a literal address. */
export function socketAddress(address: string, port: number): Uint8Array {
  if (!address.includes(':')) {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt16LE(AF_INET, 0);
    bytes.writeUInt16BE(port, 2);
    for (const [index, part] of address.split('.').entries()) bytes.writeUInt8(Number(part), 4 + index);
    return bytes;
  }
  const bytes = Buffer.alloc(28);
  bytes.writeUInt16LE(AF_INET6, 0);
  bytes.writeUInt16BE(port, 2);
  const [head = '', tail] = address.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  for (const [index, group] of groups(head).entries()) bytes.writeUInt16BE(group, 8 + 2 * index);
  const last = groups(tail ?? '');
  for (const [index, group] of last.entries()) bytes.writeUInt16BE(group, 24 - 2 * last.length + 2 * index);
  return bytes;
}

/** Resolves once the process has ended, or at once when it is not there. Rejects with HelperError (ETIMEDOUT) after `timeoutMs`. */
export async function waitForPid(helper: Zygote, pid: number, startTime: bigint, timeoutMs: number): Promise<void> {
  const plan = new Plan().op(
    Op.WAIT_PID,
    (failure) => `wait for ${pid}: ${errnoText(failure.errno)}`,
    (fields) => fields.u32(pid).u64(startTime).u32(timeoutMs),
  );
  await helper.run(plan);
}
