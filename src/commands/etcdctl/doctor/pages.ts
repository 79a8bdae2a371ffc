/** What the pages of a member say: `/health`, `/readyz`, `/version`, `/metrics`, `/raft/probing`, and the clock behind each. */
import { header } from '#transport/http.ts';
import type { Page } from '../page.ts';
import { PageError } from './ask.ts';
import { Metrics } from './metrics-text.ts';

/** @returns what is wrong; empty when nothing is. @throws PageError */
export function healthOf(page: Page): string {
  const { health, reason } = jsonOf(page) as { readonly health?: unknown; readonly reason?: unknown };
  if (health === 'true' || health === true) return '';
  if (health !== 'false' && health !== false) throw unexpected(page);
  return typeof reason === 'string' && reason !== '' ? reason : 'not well';
}

/** @returns the checks that failed. @throws PageError where there is no such page, before 3.5.11 */
export function readyOf(page: Page): readonly string[] {
  if (page.status === 200) return [];
  if (page.status !== 503) throw unexpected(page);
  const failed = page.text.split('\n').flatMap((line) => (line.startsWith('[-]') ? [line.slice(3).trim()] : []));
  return failed.length > 0 ? failed : [page.text.trim().slice(0, 200)];
}

/** The version that the cluster has agreed on. @throws PageError */
export function clusterVersionOf(page: Page): string {
  const { etcdcluster } = jsonOf(page) as { readonly etcdcluster?: unknown };
  // Before they have agreed it says so in words.
  if (typeof etcdcluster !== 'string' || !/^\d+\.\d+/.test(etcdcluster)) throw unexpected(page);
  return etcdcluster;
}

/** @throws PageError */
export function metricsOf(page: Page): Metrics {
  if (page.status !== 200) throw unexpected(page);
  return Metrics.parse(page.text);
}

/** Whether a member's peer port says that a downgrade goes on. */
export function isDowngrading({ status, text }: Page): boolean {
  return status === 200 && text.trim() === 'true';
}

/** How far the clock that wrote a time is ahead of the one here: between bounds that are certain. Milliseconds. */
export interface Ahead {
  readonly minMs: number;
  readonly maxMs: number;
}

/** By `{"OK":true,"Now":"2026-01-31T15:04:05.123456789Z"}`. Undefined for anything else. */
export function aheadByProbing(page: Page): Ahead | undefined {
  const now = /"Now":"([^"]+)"/.exec(page.text)?.[1];
  const timeMs = page.status === 200 && now !== undefined ? Date.parse(now) : Number.NaN;
  return Number.isNaN(timeMs) ? undefined : aheadOf(page, timeMs, 1);
}

/** By the Date header, which leaves out what is less than a second. */
export function aheadByDate(page: Page): Ahead | undefined {
  const timeMs = Date.parse(header(page.headers, 'date') ?? '');
  return Number.isNaN(timeMs) ? undefined : aheadOf(page, timeMs, 1000);
}

/** The time was read between sending and receiving, here in whole milliseconds; it may be later by less than `stepMs`. */
function aheadOf({ sentMs, receivedMs }: Page, timeMs: number, stepMs: number): Ahead {
  return { minMs: timeMs - (receivedMs + 1), maxMs: timeMs + stepMs - sentMs };
}

/** What holds for all of them; the last where no clock can be like that, because one was set meanwhile. */
export function narrowed(all: readonly Ahead[]): Ahead | undefined {
  if (all.length === 0) return undefined;
  const minMs = Math.max(...all.map((each) => each.minMs));
  const maxMs = Math.min(...all.map((each) => each.maxMs));
  return minMs <= maxMs ? { minMs, maxMs } : all.at(-1);
}

function jsonOf(page: Page): object {
  try {
    const value: unknown = JSON.parse(page.text);
    if (typeof value === 'object' && value !== null) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw unexpected(page);
}

function unexpected({ status, path }: Page): PageError {
  return new PageError(status === 200 ? `${path} answers with something else` : `${path} answers ${status}`);
}
