import type { ChunkSource } from './chunk-writer.js';

/** Reads a source of known length by ranges. */
export function rangeSource(
  byteLength: number,
  read: (offsetBytes: number, target: Uint8Array) => Promise<void> | void,
): ChunkSource {
  let position = 0;
  return {
    async next(target) {
      const part = target.subarray(0, Math.min(target.length, byteLength - position));
      if (part.length > 0) await read(position, part);
      position += part.length;
      return part.length;
    },
  };
}

/** Reads pieces of any size. */
export function streamSource(
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): ChunkSource {
  const iterator =
    Symbol.asyncIterator in pieces ? pieces[Symbol.asyncIterator]() : pieces[Symbol.iterator]();
  let rest: Uint8Array = new Uint8Array(0);
  return {
    async next(target) {
      let filled = 0;
      while (filled < target.length) {
        if (rest.length === 0) {
          const { value, done } = await iterator.next();
          if (done) break;
          rest = value;
        }
        const part = rest.subarray(0, target.length - filled);
        target.set(part, filled);
        filled += part.length;
        rest = rest.subarray(part.length);
      }
      return filled;
    },
  };
}
