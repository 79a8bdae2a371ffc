/** The one way defaults are laid under what a client sent. */

/** `defaults` under what `object` has. Fields that hold `undefined` count as left out. */
export function under<T extends object>(defaults: T, object: unknown): T {
  const filled: Record<string, unknown> = { ...(defaults as Record<string, unknown>) };
  for (const [key, value] of Object.entries((object ?? {}) as Record<string, unknown>))
    if (value !== undefined) filled[key] = value;
  return filled as T;
}
