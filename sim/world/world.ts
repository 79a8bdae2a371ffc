/**
 * The time of a simulation: events in order of their moment, and between two moments a few turns of the event loop for whatever they have set off.
 * Nothing in it is real: one seed is one order of everything.
 */
import { nextTurn } from '#host/event-loop.ts';
import type { Clock, Timer } from '#std/clock.ts';
import { TimerHeap } from '#std/timer-heap.ts';
import { Chance } from './chance.ts';

/** Any fixed day: runs repeat. */
const epochMs = 1_767_225_600_000;
/** Work that needs more goes on in the turns of the next moment: processors are not infinitely fast. */
const turnsPerMoment = 3;

export class World extends Chance implements Clock {
  /** Told what a callback threw: the process of a member would have ended. By default it is thrown on. */
  onError: (error: unknown) => void = (error) => {
    throw error;
  };
  readonly #timers = new TimerHeap();
  #nowMs = 0;
  #place = 0;

  now(): number {
    return Math.floor(epochMs + this.#nowMs);
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.#timers.add(this.#nowMs + Math.max(0, delayMs), callback);
  }

  /** A place among all events: later calls get higher ones. */
  nextPlace(): number {
    return ++this.#place;
  }

  /** Lets time pass until something is so. @returns false when it was not within `withinMs` */
  async until(isSo: () => boolean, withinMs: number): Promise<boolean> {
    const endMs = this.#nowMs + withinMs;
    while (!isSo()) {
      const atMs = this.#timers.nextAtMs;
      if (atMs === undefined || atMs > endMs) {
        this.#nowMs = endMs;
        return isSo();
      }
      this.#nowMs = atMs;
      for (let due = this.#timers.takeDue(atMs); due !== undefined; due = this.#timers.takeDue(atMs))
        try {
          due.callback();
        } catch (error) {
          this.onError(error);
        }
      for (let turn = 0; turn < turnsPerMoment; turn++) await nextTurn();
    }
    return true;
  }

  passes(ms: number): Promise<boolean> {
    return this.until(() => false, ms);
  }
}
