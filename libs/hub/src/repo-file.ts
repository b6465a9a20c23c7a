import { HubError } from './errors.js';

/** A file of a repository at a commit, which its hash tells from every other. */
export interface RepoFile {
  /** With slashes, relative to the repository. */
  readonly path: string;
  readonly sizeBytes: number;
  /** SHA-1 of the blob in git; of a pointer to it where `sha256` is set. */
  readonly gitSha1: string;
  /** SHA-256 of a file that git does not hold itself (LFS, Xet). */
  readonly sha256: string | null;
  /** Of storage in pieces; kept for others who read the cache. */
  readonly xetHash: string | null;
}

/** Name of a file's contents in the cache: what the hub has for its ETag. */
export function blobName({ gitSha1, sha256 }: RepoFile): string {
  return sha256 ?? gitSha1;
}

/** Whether a path stays inside the folder that it is joined to. */
function isSafePath(path: string): boolean {
  return (
    path !== '' &&
    !/[\\\0]/.test(path) &&
    !/^[A-Za-z]:/.test(path) &&
    path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  );
}

/** A file as a listing or its copy in the cache has it. */
export interface GivenFile {
  readonly path: unknown;
  readonly size: unknown;
  readonly oid: unknown;
  readonly sha256: unknown;
  readonly xetHash: unknown;
}

/**
 * @param source what is checked, for messages
 * @throws HubError HUB_RESPONSE_INVALID for a path that leads out of the repository, a size that is
 * none, or hashes by which the file could not be checked
 */
export function toRepoFile(source: string, given: GivenFile): RepoFile {
  const { path, size, oid, sha256 } = given;
  if (typeof path !== 'string' || !isSafePath(path))
    throw invalid(source, path, 'has a path that leads out of the repository');
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw invalid(source, path, 'has no size');
  if (typeof oid !== 'string' || !/^[0-9a-f]{40}$/.test(oid))
    throw invalid(source, path, 'has no SHA-1 of git');
  const isHash = typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256);
  if (sha256 !== undefined && sha256 !== null && !isHash)
    throw invalid(source, path, 'has a SHA-256 that is none');
  return {
    path,
    sizeBytes: size,
    gitSha1: oid,
    sha256: isHash ? sha256 : null,
    xetHash: typeof given.xetHash === 'string' ? given.xetHash : null,
  };
}

function invalid(source: string, path: unknown, what: string): HubError {
  const name = (JSON.stringify(path) ?? 'nothing').slice(0, 200);
  return new HubError('HUB_RESPONSE_INVALID', `${source}: file ${name} ${what}`);
}
