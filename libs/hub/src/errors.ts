import { FileRefusal } from '@emloc/untrusted';

export type HubErrorCode =
  | 'HUB_OPTION_INVALID'
  | 'HUB_NOT_FOUND'
  | 'HUB_REVISION_NOT_FOUND'
  | 'HUB_GATED'
  | 'HUB_ACCESS_DENIED'
  | 'HUB_UNREACHABLE'
  | 'HUB_NOT_CACHED'
  | 'HUB_REFUSED'
  | 'HUB_UNSUPPORTED_REPOSITORY'
  | 'HUB_FILE_CORRUPT'
  | 'HUB_RESPONSE_INVALID'
  | 'HUB_DISK_FULL'
  | 'HUB_CACHE_FAILED'
  | 'HUB_INTERRUPTED'
  | 'HUB_OFFLINE'
  | 'HUB_TOKEN_MISSING'
  | 'HUB_FOLDER_INVALID'
  | 'HUB_FILE_CHANGED'
  | 'HUB_NAME_TAKEN'
  | 'HUB_REPOSITORY_PUBLIC'
  | 'HUB_PUSH_REFUSED';

/**
 * Why a model cannot be had by its hub name, or a folder not be sent to one. Messages name the
 * model and where it was looked for, never a token and never the query of an address, which may be
 * signed.
 */
export class HubError extends Error {
  override readonly name = 'HubError';

  constructor(
    readonly code: HubErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

const mostQuoted = 120;

/** What others have named, on one line and at a length that a message can have. */
export function cut(text: string): string {
  const short = text.length > mostQuoted ? `${text.slice(0, mostQuoted)}…` : text;
  return short.replace(/[\r\n\t\v\f]/g, (space) => JSON.stringify(space).slice(1, -1));
}

const fullDisk: readonly (string | undefined)[] = ['ENOSPC', 'EDQUOT'];

/** What reading or writing the cache failed with, as an error of this library. */
export function cacheError(error: unknown, path: string): HubError {
  if (error instanceof HubError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  if (error instanceof FileRefusal)
    return new HubError('HUB_CACHE_FAILED', `${error.message}: remove it from the hub cache`, {
      cause: error,
    });
  if (fullDisk.includes(code))
    return new HubError('HUB_DISK_FULL', `${path}: the disk of the hub cache is full (${code})`, {
      cause: error,
    });
  return new HubError(
    'HUB_CACHE_FAILED',
    `${path}: the hub cache cannot be read or written (${code ?? (error as Error).message})`,
    { cause: error },
  );
}
