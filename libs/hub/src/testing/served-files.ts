import { createHash } from 'node:crypto';

/** Files of at least so many bytes are not in git and lie on the second server. */
export const largeBytes = 1024;

/** A file in a listing. */
export function treeEntry(path: string, contents: Uint8Array | string): unknown {
  const bytes = Buffer.from(contents);
  const entry = { type: 'file', path, size: bytes.length, oid: gitSha1(bytes) };
  return bytes.length < largeBytes
    ? entry
    : { ...entry, lfs: { oid: hashOf(bytes), size: bytes.length, pointerSize: 130 } };
}

/** What the hub has for the ETag of a file. */
export function hashOf(bytes: Uint8Array): string {
  return bytes.length < largeBytes
    ? gitSha1(bytes)
    : createHash('sha256').update(bytes).digest('hex');
}

function gitSha1(bytes: Uint8Array): string {
  return createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
}
