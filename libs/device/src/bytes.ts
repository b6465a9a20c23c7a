const unitBytes: ReadonlyMap<string, number> = new Map(
  Object.entries({
    b: 1,
    kb: 1e3,
    mb: 1e6,
    gb: 1e9,
    tb: 1e12,
    pb: 1e15,
    kib: 2 ** 10,
    mib: 2 ** 20,
    gib: 2 ** 30,
    tib: 2 ** 40,
    pib: 2 ** 50,
  }),
);

/** Bytes of `2GiB`, `500 MB` or `1048576`, in any case; null: the text is no size. */
export function parseBytes(text: string): number | null {
  const [, count, unit] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  const factor = unitBytes.get((unit || 'B').toLowerCase());
  if (count === undefined || factor === undefined) return null;
  const bytes = Math.floor(Number(count) * factor);
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : null;
}
