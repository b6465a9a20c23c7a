// A thread of FileHasher: the main thread neither reads nor computes what is hashed.
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';

/** A piece stays in the processor's caches between reading and hashing. */
const piece = Buffer.allocUnsafe(1 << 20);

/**
 * @param {{ path: string, start: number, bytes: number, algorithm: string }} range
 * @returns {string} in hex
 */
function hashOf({ path, start, bytes, algorithm }) {
  const hash = createHash(algorithm);
  const file = openSync(path, 'r');
  try {
    for (let done = 0; done < bytes;) {
      const read = readSync(file, piece, 0, Math.min(piece.length, bytes - done), start + done);
      if (read === 0) throw new Error(`${path} ends at byte ${start + done}`);
      hash.update(piece.subarray(0, read));
      done += read;
    }
  } finally {
    closeSync(file);
  }
  return hash.digest('hex');
}

parentPort?.on('message', (range) => {
  try {
    parentPort?.postMessage({ hash: hashOf(range) });
  } catch (error) {
    parentPort?.postMessage({ error: error instanceof Error ? error.message : String(error) });
  }
});
