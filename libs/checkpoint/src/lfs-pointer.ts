import { CheckpointError } from './errors.js';

/** How a pointer begins that Git LFS leaves in place of a file which was not downloaded. */
const beginning = /^version https?:\/\/(git-lfs\.github\.com|hawser\.github\.com|git-media\.io)\//;

/** Bytes that are enough to tell. */
export const lfsBeginningBytes = 64;

/** Whether a file that begins with these bytes is a Git LFS pointer. */
export function isLfsPointer(start: Uint8Array): boolean {
  return beginning.test(Buffer.from(start.subarray(0, lfsBeginningBytes)).toString('latin1'));
}

/** @throws CheckpointError CHECKPOINT_LFS_POINTER */
export function assertNoLfsPointer(start: Uint8Array, path: string): void {
  if (!isLfsPointer(start)) return;
  throw new CheckpointError(
    'CHECKPOINT_LFS_POINTER',
    `${path} is a Git LFS pointer, not the file that it stands for: fetch it (git lfs pull)`,
  );
}
