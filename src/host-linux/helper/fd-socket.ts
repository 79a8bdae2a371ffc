/** Descriptors between processes: a pair of packet sockets, and taking one out of a message (SCM_RIGHTS). Nothing here blocks. */
import koffi from 'koffi';

const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;
const SOCK_CLOEXEC = 0x80000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x40000000;
/** struct msghdr and struct cmsghdr of 64-bit Linux. */
const msghdrBytes = 56;
const cmsgHeaderBytes = 16;
const controlBytes = 24;

function libc() {
  const library = koffi.load('libc.so.6');
  return {
    socketpair: library.func('int socketpair(int, int, int, void *)'),
    recvmsg: library.func('int64_t recvmsg(int, void *, int)'),
    close: library.func('int close(int)'),
  };
}

/** Two connected packet sockets, both closed on exec. */
export function socketPair(): [number, number] {
  const pair = Buffer.alloc(8);
  if (libc().socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
    throw new Error(`socketpair: errno ${koffi.errno()}`);
  return [pair.readInt32LE(0), pair.readInt32LE(4)];
}

/** Takes one message of four bytes (a request's number) and its descriptor, if one is there. */
export function receiveFd(socket: number): { readonly request: number; readonly fd: number } | undefined {
  const data = Buffer.alloc(4);
  const control = Buffer.alloc(controlBytes);
  const iovec = Buffer.alloc(16);
  iovec.writeBigUInt64LE(BigInt(koffi.address(data)), 0);
  iovec.writeBigUInt64LE(BigInt(data.length), 8);
  const header = Buffer.alloc(msghdrBytes);
  header.writeBigUInt64LE(BigInt(koffi.address(iovec)), 16);
  header.writeBigUInt64LE(1n, 24);
  header.writeBigUInt64LE(BigInt(koffi.address(control)), 32);
  header.writeBigUInt64LE(BigInt(controlBytes), 40);
  if (libc().recvmsg(socket, header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) !== 4n && data.readUInt32LE(0) === 0)
    return undefined;
  const length = control.readBigUInt64LE(0);
  if (
    length < BigInt(cmsgHeaderBytes + 4) ||
    control.readInt32LE(8) !== SOL_SOCKET ||
    control.readInt32LE(12) !== SCM_RIGHTS
  )
    return undefined;
  return { request: data.readUInt32LE(0), fd: control.readInt32LE(cmsgHeaderBytes) };
}

export function closeFd(fd: number): void {
  libc().close(fd);
}
