import { createHash } from 'node:crypto';

import { expectRefusal } from '../test/fixtures.js';
import { ByteHasher } from './byte-hasher.js';

const large = Uint8Array.from({ length: 17_000_003 }, (_, index) => (index * 7) % 251);
const parts = ['before', large, 'ä between', large.subarray(5, 5_000_000), new Uint8Array(0)];

function sha256(of: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of of) hash.update(part);
  return hash.digest('hex');
}

it('hashes parts one after another, many in a thread and few here', async () => {
  await using hasher = new ByteHasher();
  const hashes = await Promise.all([
    hasher.hash(parts),
    hasher.hash(['small', large.subarray(0, 9)]),
    hasher.hash([large, large]),
    hasher.hash([]),
  ]);
  expect(hashes).toEqual(
    [parts, ['small', large.subarray(0, 9)], [large, large], []].map((of) => sha256(of)),
  );
  expect(await hasher.hash(parts)).toBe(sha256(parts));
});

it('refuses what it has not hashed when it is closed, and starts anew', async () => {
  const hasher = new ByteHasher();
  const pending = expectRefusal(hasher.hash(parts), 'CHECKPOINT_IO_FAILED', /hashing thread: it/);
  await new Promise(setImmediate);
  await hasher[Symbol.asyncDispose]();
  await pending;
  expect(await hasher.hash(parts)).toBe(sha256(parts));
  await hasher[Symbol.asyncDispose]();
});
