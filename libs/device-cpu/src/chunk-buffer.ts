import { scratchBytes, type Scratch } from './scratch.js';

/** Elements of each operand that go through the WebAssembly memory at once: 16 KiB. */
const mostElements = 4096;

/** How many of `rows` go through at once: their number changes no bits. */
export function chunkRows(rows: number, width: number): number {
  return Math.min(rows, Math.max(1, Math.floor(mostElements / Math.max(1, width))));
}

/** Scratch bytes for `buffers` of such chunks. */
export function rowScratchBytes(rows: number, width: number, buffers: number): number {
  return buffers * scratchBytes(chunkRows(rows, width) * width * 4);
}

/** Scratch that parts of arrays go through, one at a time. */
export class ChunkBuffer {
  readonly address: number;
  readonly #view: Float32Array;

  constructor(scratch: Scratch, count: number) {
    this.address = scratch.take(count * 4);
    this.#view = scratch.float32(this.address, count);
  }

  load(source: Float32Array, start: number, end: number, at = 0): void {
    this.#view.set(source.subarray(start, end), at);
  }

  store(target: Float32Array, start: number, end: number): void {
    const count = end - start;
    const { length } = this.#view;
    target.set(count === length ? this.#view : this.#view.subarray(0, count), start);
  }
}

/** Calls `visit` with the first row of each chunk and the row after its last. */
export function forRowChunks(
  rows: number,
  width: number,
  visit: (start: number, end: number) => void,
): void {
  const chunk = chunkRows(rows, width);
  for (let start = 0; start < rows; start += chunk) visit(start, Math.min(rows, start + chunk));
}
