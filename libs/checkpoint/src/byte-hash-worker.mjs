// The thread of ByteHasher: hashes what lies in the slots that it is told of, in order.
import { createHash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';

/** @type {Uint8Array[]} */
const slots = workerData.slots;
let hash = createHash(workerData.algorithm);

parentPort?.on('message', (/** @type {{ slot: number, bytes: number } | null} */ filled) => {
  if (filled) {
    hash.update(/** @type {Uint8Array} */ (slots[filled.slot]).subarray(0, filled.bytes));
    parentPort?.postMessage({ slot: filled.slot });
    return;
  }
  parentPort?.postMessage({ hash: hash.digest('hex') });
  hash = createHash(workerData.algorithm);
});
