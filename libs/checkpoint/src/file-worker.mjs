// A thread of FileThreads: the main thread neither reads nor computes what it is asked.
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

/**
 * Exponent bits of each value in a 32-bit word (one float32, or two halves); a carry that brings
 * an exponent of all ones, and no other, into the value's sign bit; the sign bits.
 *
 * @typedef {{ readonly mask: number, readonly carry: number, readonly signs: number }} ExponentBits
 */

/** As FileRange. */
/** @typedef {{ readonly path: string, readonly start: number, readonly bytes: number }} Place */
/** @typedef {Place & { readonly modifiedMs?: number }} Range */

/** What a thread is asked of a range: its hash, or whether all of its values are finite. */
/** @typedef {Range & ({ algorithm: string } | { exponents: ExponentBits })} FileRequest */

/** The hash is in hex. */
/** @typedef {{ hash?: string, isFinite?: boolean, error?: string }} FileAnswer */

/** Words between two looks at what was found: a block of them is in the cache when it is tested. */
const blockWords = 1 << 14;

/**
 * Whether no value is NaN or infinite: no exponent is all ones.
 *
 * @param {Uint8Array} bytes little-endian values, from the beginning of one of them
 * @param {ExponentBits} exponents
 * @returns {boolean}
 */
export function areFinite(bytes, exponents) {
  if (bytes.byteOffset % 4 !== 0) return areFinite(new Uint8Array(bytes), exponents);
  const count = Math.floor(bytes.byteLength / 4);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, count);
  for (let start = 0; start < count; start += blockWords) {
    const block = words.subarray(start, Math.min(count, start + blockWords));
    if ((carries(block, exponents) & exponents.signs) !== 0) return false;
  }
  const rest = new Uint8Array(4);
  rest.set(bytes.subarray(4 * count));
  return (carries(new Int32Array(rest.buffer), exponents) & exponents.signs) === 0;
}

/**
 * Four sums of carries side by side, so that none waits for another.
 *
 * @param {Int32Array} words
 * @param {ExponentBits} exponents
 * @returns {number}
 */
function carries(words, { mask, carry }) {
  let [a, b, c, d] = [0, 0, 0, 0];
  const whole = words.length - (words.length % 4);
  for (let index = 0; index < whole; index += 4) {
    a |= (mask & /** @type {number} */ (words[index])) + carry;
    b |= (mask & /** @type {number} */ (words[index + 1])) + carry;
    c |= (mask & /** @type {number} */ (words[index + 2])) + carry;
    d |= (mask & /** @type {number} */ (words[index + 3])) + carry;
  }
  for (let index = whole; index < words.length; index += 1)
    a |= (mask & /** @type {number} */ (words[index])) + carry;
  return a | b | c | d;
}

/**
 * Reads a range piece by piece, each of a size that stays in the processor's caches until it is
 * used. Pieces begin where a value does.
 *
 * @param {Range} range
 * @param {Uint8Array} piece
 * @param {(bytes: Uint8Array) => boolean} use whether to go on
 */
function forEachPiece({ path, start, bytes, modifiedMs }, piece, use) {
  // A pipe that has come in place of the file is not waited for.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const { mtimeMs } = fstatSync(file);
    if ((modifiedMs ?? mtimeMs) !== mtimeMs)
      throw new Error(`${path} was changed since it was opened`);
    let filled = 0;
    for (let done = 0; done < bytes;) {
      const wanted = Math.min(piece.length, filled + bytes - done) - filled;
      const read = readSync(file, piece, filled, wanted, start + done);
      if (read === 0) throw new Error(`${path} ends at byte ${start + done}`);
      done += read;
      filled += read;
      if (filled < piece.length && done < bytes) continue;
      if (!use(piece.subarray(0, filled))) return;
      filled = 0;
    }
  } finally {
    closeSync(file);
  }
}

/**
 * @param {FileRequest} request
 * @param {Uint8Array} piece
 * @returns {FileAnswer}
 */
function answer(request, piece) {
  if ('algorithm' in request) {
    const hash = createHash(request.algorithm);
    forEachPiece(request, piece, (bytes) => Boolean(hash.update(bytes)));
    return { hash: hash.digest('hex') };
  }
  let isFinite = true;
  forEachPiece(request, piece, (bytes) => (isFinite = areFinite(bytes, request.exponents)));
  return { isFinite };
}

/** Other threads, which have a port, too, import what this file exports. */
export const fileThread = 'file thread';

if (workerData === fileThread) {
  const piece = new Uint8Array(1 << 20);
  parentPort?.on('message', (/** @type {FileRequest} */ request) => {
    try {
      parentPort?.postMessage(answer(request, piece));
    } catch (error) {
      parentPort?.postMessage({ error: error instanceof Error ? error.message : String(error) });
    }
  });
}
