/** The one way defaults are laid under what a client sent. */

/** `defaults` under what `object` has. Fields that hold `undefined` count as left out. */
export function under<T extends object>(defaults: T, object: unknown): T {
  const filled: Record<string, unknown> = { ...(defaults as Record<string, unknown>) };
  for (const [key, value] of Object.entries((object ?? {}) as Record<string, unknown>))
    if (value !== undefined) filled[key] = value;
  return filled as T;
}

/**
 * As {@link under}, for fields that upstream declares without a pointer: there an empty string and zero are the same as nothing.
 * Manifests made from templates are full of them.
 */
export function underZero<T extends object>(defaults: T, object: unknown): T {
  const given = Object.entries((object ?? {}) as Record<string, unknown>);
  return under(
    defaults,
    Object.fromEntries(given.filter(([key, value]) => !((value === '' || value === 0) && key in defaults))),
  );
}
