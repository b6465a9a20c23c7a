/** What was made last, for as long as somebody holds it. */
let latest: WeakRef<ArrayBuffer> | null = null;

/**
 * At least so many bytes of zeros, to be read only: all who ask share them, and as nobody writes
 * them, the system gives them no pages. For programs that are run only to be counted, which would
 * spend most of their time on making memory that holds nothing.
 */
export function sharedZeros(bytes: number): ArrayBuffer {
  const known = latest?.deref();
  if (known && known.byteLength >= bytes) return known;
  const made = new ArrayBuffer(bytes);
  latest = new WeakRef(made);
  return made;
}

/** `sharedZeros` as numbers. */
export function sharedFloats(count: number): Float32Array {
  return new Float32Array(sharedZeros(count * Float32Array.BYTES_PER_ELEMENT), 0, count);
}
