import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';

import type { RepoFile } from '../repo-file.js';
import type { LocalFile } from './folder-files.js';

/** Whether a file of the repository has the contents of one on disk, which is read once at most. */
export async function isSameFile(
  local: LocalFile,
  remote: RepoFile | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  if (remote === undefined || remote.sizeBytes !== local.sizeBytes) return false;
  const { sha256, gitSha1 } = remote;
  const hash = sha256 === null ? createHash('sha1') : createHash('sha256');
  // Git's hash of a blob begins with its kind and size.
  if (sha256 === null) hash.update(`blob ${local.sizeBytes}\0`);
  for await (const chunk of createReadStream(local.place, { signal })) hash.update(chunk as Buffer);
  return hash.digest('hex') === (sha256 ?? gitSha1);
}
