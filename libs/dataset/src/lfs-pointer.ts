/** How a pointer begins that Git LFS leaves in place of a file which was not downloaded. */
const beginning = /^version https?:\/\/(git-lfs\.github\.com|hawser\.github\.com|git-media\.io)\//;

/** Characters, all of one byte, that are enough to tell. */
export const lfsBeginningLength = 64;

export const lfsReason = 'is a Git LFS pointer, not the file that it stands for (git lfs pull)';

/** Whether a file that begins like this is a Git LFS pointer. */
export function isLfsPointer(start: string): boolean {
  return beginning.test(start.slice(0, lfsBeginningLength));
}
