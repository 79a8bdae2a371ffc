/** Durations as people write them: `1h30m`, `90s`, `250ms`, `2d`. */

/** @throws TypeError for what is none */
export function durationMs(duration: string | number): number {
  if (typeof duration === 'number') {
    if (Number.isFinite(duration) && duration >= 0) return duration;
    throw new TypeError(`${duration} is no duration in milliseconds`);
  }
  const match = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?$/.exec(duration);
  if (match === null || duration === '')
    throw new TypeError(`${JSON.stringify(duration)} is no duration: write it like 1h30m, 90s or 250ms`);
  const [days = 0, hours = 0, minutes = 0, seconds = 0, ms = 0] = match.slice(1).map((part) => Number(part ?? 0));
  return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + ms;
}
