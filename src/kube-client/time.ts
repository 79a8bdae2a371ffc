/** Times as the API writes them, from a clock's milliseconds. Pure. */

/** meta/v1 Time: whole seconds, `2026-01-01T00:00:00Z`. */
export function formatTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** meta/v1 MicroTime: `2026-01-01T00:00:00.123000Z`. */
export function formatMicroTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 23)}000Z`;
}

/** Milliseconds since 1970; NaN for none. */
export function parseTime(text: string | null | undefined): number {
  return text === null || text === undefined ? Number.NaN : Date.parse(text);
}
