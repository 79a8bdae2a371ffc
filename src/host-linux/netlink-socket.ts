/**
 * Netlink sockets. The kernel carries out a request inside `send`, so the reply is
 * there when `send` returns and nothing ever blocks: requests are plain synchronous calls.
 * A socket for another namespace is made by the helper; no JavaScript thread ever enters one.
 */
import koffi from 'koffi';
import { decodeReplies, encodeMessage, Flag, type NetlinkMessage } from '#wire/netlink/message.ts';
import { openSocketIn } from './helper/services.ts';
import type { Zygote } from './helper/zygote.ts';

export const NetlinkProtocol = { route: 0, netfilter: 12 } as const;

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0x80000;
const SOCK_NONBLOCK = 0x800;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const SOL_SOCKET = 1;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
/** A batch of a few thousand rules and its acknowledgements must fit. */
const socketBufferBytes = 8 << 20;
const datagramBytesMax = 256 << 10;

/** The kernel's refusal. `code` is the errno's name, `EEXIST`. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError';
  readonly errno: number;

  constructor(errno: number, what: string, text: string) {
    super(`${what}: ${text === '' ? errorName(errno) : `${text} (${errorName(errno)})`}`);
    this.errno = errno;
  }
}

export const Errno = { noEntry: 2, exists: 17, noDevice: 19, busy: 16 } as const;

function errorName(errno: number): string {
  for (const [name, value] of Object.entries(koffi.os.errno)) if (value === errno) return name;
  return `errno ${errno}`;
}

/** A way to ask the kernel things over netlink, in one namespace. */
export interface Netlink extends Disposable {
  /**
   * Sends one request, returns the objects it answers with (none for changes).
   * @throws NetlinkError when the kernel refuses; `what` names the request in it.
   */
  request(message: NetlinkMessage, what: string): Buffer[];
  /** Sends messages as one datagram (an nf_tables batch) and waits for every acknowledgement asked for. */
  transaction(messages: readonly NetlinkMessage[], what: string): void;
}

/** A socket in the network namespace of this process. */
export function openNetlink(protocol: number): Netlink {
  const socket = koffi.load('libc.so.6').func('int socket(int, int, int)');
  const fd: number = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  if (fd < 0) throw new NetlinkError(koffi.errno(), 'open netlink socket', '');
  return netlinkOn(fd);
}

/** A socket that the helper made inside another network namespace, where it keeps belonging. */
export async function openNetlinkIn(helper: Zygote, namespacePath: string, protocol: number): Promise<Netlink> {
  return netlinkOn(await openSocketIn(helper, namespacePath, { domain: AF_NETLINK, type: SOCK_RAW, protocol }));
}

function netlinkOn(fd: number): Netlink {
  const libc = koffi.load('libc.so.6');
  const send = libc.func('int64_t send(int, const void *, size_t, int)');
  const recv = libc.func('int64_t recv(int, void *, size_t, int)');
  const setsockopt = libc.func('int setsockopt(int, int, int, const void *, uint32_t)');
  const closeFd = libc.func('int close(int)');

  const option = (level: number, name: number, value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    setsockopt(fd, level, name, bytes, 4);
  };
  option(SOL_NETLINK, NETLINK_EXT_ACK, 1);
  option(SOL_NETLINK, NETLINK_CAP_ACK, 1);
  option(SOL_SOCKET, SO_SNDBUFFORCE, socketBufferBytes);
  option(SOL_SOCKET, SO_RCVBUFFORCE, socketBufferBytes);

  const incoming = Buffer.alloc(datagramBytesMax);
  let sequence = 0;

  function exchange(messages: readonly NetlinkMessage[], what: string): Buffer[] {
    const first = sequence + 1;
    const pending = new Set<number>();
    const datagram = Buffer.concat(
      messages.map((message) => {
        sequence = (sequence + 1) >>> 0;
        if (message.flags & (Flag.ack | Flag.dump)) pending.add(sequence);
        else if (messages.length === 1) pending.add(sequence);
        return encodeMessage(message, sequence);
      }),
    );
    if (send(fd, datagram, datagram.length, 0) < 0) throw new NetlinkError(koffi.errno(), what, '');
    const objects: Buffer[] = [];
    let failure: NetlinkError | undefined;
    const dumping = messages.length === 1 && (messages[0]!.flags & Flag.dump) === Flag.dump;
    const getting = messages.length === 1 && (messages[0]!.flags & (Flag.ack | Flag.dump)) === 0;
    while (pending.size > 0) {
      const length = Number(recv(fd, incoming, incoming.length, 0));
      if (length < 0) {
        // A failed batch is answered for the messages up to the one that failed only.
        if (failure !== undefined) break;
        throw new NetlinkError(koffi.errno(), what, 'no reply');
      }
      for (const reply of decodeReplies(incoming.subarray(0, length))) {
        if (reply.sequence < first && reply.sequence !== 0) continue;
        if (reply.kind === 'message') {
          objects.push(Buffer.from(reply.body));
          if (getting && !dumping) pending.delete(reply.sequence);
        } else {
          pending.delete(reply.sequence);
          if (reply.kind === 'ack' && reply.errno !== 0) failure ??= new NetlinkError(reply.errno, what, reply.text);
        }
      }
    }
    if (failure !== undefined) throw failure;
    return objects;
  }

  return {
    request: (message, what) => exchange([message], what),
    transaction: (messages, what) => void exchange(messages, what),
    [Symbol.dispose]: () => {
      closeFd(fd);
    },
  };
}
