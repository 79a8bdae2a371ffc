/**
 * The memory that requests of clients may take in one member, and who gets of it next. It knows no clock, no call and no request: bytes and connections only.
 *
 * A half of it is for what is large: requests that run, and answers that their clients have not taken yet. A quarter is for small requests, so that puts and
 * gets of one key go on while nothing large gets in. A quarter is for requests that wait. Waiting requests of a class are served round
 * robin over the connections, in order within each.
 */
import { assert } from '#std/assert.ts';

/** Up to this, or a 256th of the budget if that is less, a request is small. */
const smallBytesMax = 16 << 10;
/** Of a connection: untaken answers up to here hold back none of its small requests. */
const untakenBytesFree = 64 << 10;
const waitingMax = 8192;
/** So that one connection alone does not fill the queue. */
const waitingPerConnectionMax = 1024;

/** What one connection has of the budget. Made by {@link Budget.account}. */
export class Account {
  /** Of requests that run. */
  admittedBytes = 0;
  /** Of answers that the client has not taken yet. */
  untakenBytes = 0;
  readonly small: Waiting[] = [];
  readonly large: Waiting[] = [];

  get waitingCount(): number {
    return this.small.length + this.large.length;
  }
}

/** A request that waits. */
export interface Waiting {
  readonly account: Account;
  readonly bytes: number;
  /** What the request itself takes while it waits. */
  readonly requestBytes: number;
  /** Called once, when it may run: its bytes are taken. */
  readonly admitted: () => void;
}

export class Budget {
  readonly bytes: number;
  readonly #smallBytesMax: number;
  readonly #smallMax: number;
  readonly #largeMax: number;
  readonly #waitingBytesMax: number;
  #smallBytes = 0;
  #largeBytes = 0;
  #untakenBytes = 0;
  #waitingBytes = 0;
  #waitingCount = 0;
  /** Connections with waiting requests, whose turn it is first. */
  readonly #smallRing: Account[] = [];
  readonly #largeRing: Account[] = [];

  /** @param bytes at least {@link budgetBytesMin} */
  constructor(bytes: number) {
    assert(bytes >= budgetBytesMin, 'a budget has room for a few requests');
    this.bytes = bytes;
    this.#smallBytesMax = Math.min(smallBytesMax, Math.floor(bytes / 256));
    this.#smallMax = Math.floor(bytes / 4);
    this.#largeMax = Math.floor(bytes / 2);
    this.#waitingBytesMax = Math.floor(bytes / 4);
  }

  /** Of requests that run. */
  get admittedBytes(): number {
    return this.#smallBytes + this.#largeBytes;
  }

  /** Of answers that clients have not taken yet. */
  get untakenBytes(): number {
    return this.#untakenBytes;
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  get waitingCount(): number {
    return this.#waitingCount;
  }

  /** Takes the bytes of a request that may run at once. False: it has to {@link wait}, behind those that do. */
  tryAdmit(account: Account, bytes: number): boolean {
    if (bytes <= this.#smallBytesMax) {
      if (account.small.length > 0 || this.#smallRing.length > 0 || !this.#fitsSmall(account, bytes)) return false;
      this.#smallBytes += bytes;
    } else {
      if (this.#largeRing.length > 0 || !this.#fitsLarge(bytes) || !this.#hasShare(account, bytes)) return false;
      this.#largeBytes += bytes;
    }
    account.admittedBytes += bytes;
    return true;
  }

  /** @returns false when the queue is full: the request is to be refused */
  wait(waiting: Waiting): boolean {
    const { account, bytes, requestBytes } = waiting;
    if (
      this.#waitingCount >= waitingMax ||
      account.waitingCount >= waitingPerConnectionMax ||
      this.#waitingBytes + requestBytes > this.#waitingBytesMax
    )
      return false;
    this.#waitingCount++;
    this.#waitingBytes += requestBytes;
    const [queue, ring] = this.#placeOf(account, bytes);
    if (queue.push(waiting) === 1) ring.push(account);
    // It may be another connection's large request that is in the way, which has its share.
    this.#serve();
    return true;
  }

  /** It waits no more: its call has ended, or its time is up. Nothing happens to one that was admitted. */
  giveUp(waiting: Waiting): void {
    const { account, bytes } = waiting;
    const [queue, ring] = this.#placeOf(account, bytes);
    const at = queue.indexOf(waiting);
    if (at < 0) return;
    queue.splice(at, 1);
    if (queue.length === 0) ring.splice(ring.indexOf(account), 1);
    this.#left(waiting);
    this.#serve();
  }

  /** A request that was admitted has ended. */
  release(account: Account, bytes: number): void {
    account.admittedBytes -= bytes;
    if (bytes <= this.#smallBytesMax) this.#smallBytes -= bytes;
    else this.#largeBytes -= bytes;
    this.#serve();
  }

  /** What a connection's client has not taken yet is now so much. */
  untaken(account: Account, bytes: number): void {
    if (bytes === account.untakenBytes) return;
    const less = bytes < account.untakenBytes;
    this.#untakenBytes += bytes - account.untakenBytes;
    account.untakenBytes = bytes;
    if (less) this.#serve();
  }

  #placeOf(account: Account, bytes: number): [queue: Waiting[], ring: Account[]] {
    return bytes <= this.#smallBytesMax ? [account.small, this.#smallRing] : [account.large, this.#largeRing];
  }

  /** When all is full, connections that take their answers go on, those that do not wait until they do. */
  #fitsSmall(account: Account, bytes: number): boolean {
    if (this.#smallBytes + bytes > this.#smallMax) return false;
    return account.untakenBytes <= untakenBytesFree || this.admittedBytes + this.#untakenBytes + bytes <= this.bytes;
  }

  /** What is larger than all there is runs when nothing else that is large does. */
  #fitsLarge(bytes: number): boolean {
    if (this.#largeBytes + this.#untakenBytes + bytes <= this.#largeMax) return true;
    return this.#largeBytes === 0 && this.#untakenBytes <= this.#largeMax / 2;
  }

  /** A connection has a quarter of what is large; or one request, of any size, when its client has taken the answers before. */
  #hasShare(account: Account, bytes: number): boolean {
    const { admittedBytes, untakenBytes } = account;
    if (admittedBytes + untakenBytes + bytes <= this.#largeMax / 4) return true;
    return admittedBytes <= this.#smallBytesMax && untakenBytes <= untakenBytesFree;
  }

  /** Lets in whoever fits now. */
  #serve(): void {
    if (this.#waitingCount === 0) return;
    this.#serveRing(this.#smallRing, ({ small: [first] }) => {
      if (this.#smallBytes + first!.bytes > this.#smallMax) return 'full';
      return this.#fitsSmall(first!.account, first!.bytes) ? 'fits' : 'not this one';
    });
    this.#serveRing(this.#largeRing, ({ large: [first] }) => {
      if (!this.#hasShare(first!.account, first!.bytes)) return 'not this one';
      // It keeps its turn: smaller ones that fit would pass it for ever.
      return this.#fitsLarge(first!.bytes) ? 'fits' : 'full';
    });
  }

  #serveRing(ring: Account[], check: (account: Account) => 'fits' | 'not this one' | 'full'): void {
    for (let passed = 0; passed < ring.length; ) {
      const account = ring[passed]!;
      const answer = check(account);
      if (answer === 'full') return;
      if (answer === 'not this one') {
        passed++;
        continue;
      }
      ring.splice(passed, 1);
      const queue = ring === this.#smallRing ? account.small : account.large;
      const next = queue.shift()!;
      if (queue.length > 0) ring.push(account);
      account.admittedBytes += next.bytes;
      if (ring === this.#smallRing) this.#smallBytes += next.bytes;
      else this.#largeBytes += next.bytes;
      this.#left(next);
      next.admitted();
    }
  }

  #left({ requestBytes }: Waiting): void {
    this.#waitingCount--;
    this.#waitingBytes -= requestBytes;
  }
}

/** Below, not even a few small requests fit. */
export const budgetBytesMin = 1 << 20;
