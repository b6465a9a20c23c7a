/** A field of a document that anything may have written, by its keys; undefined: not there. */
export function field(document: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, key)
        ? (value as Record<string, unknown>)[key]
        : undefined,
    document,
  );
}

/** A finite number at a path, else null. */
export function numberAt(document: unknown, ...path: readonly string[]): number | null {
  const value = field(document, ...path);
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** A text at a path, else null. */
export function textAt(document: unknown, ...path: readonly string[]): string | null {
  const value = field(document, ...path);
  return typeof value === 'string' ? value : null;
}

/** The elements of a list at a path; none where there is no list. */
export function listAt(document: unknown, ...path: readonly string[]): readonly unknown[] {
  const value = field(document, ...path);
  return Array.isArray(value) ? value : [];
}
