import { firstError } from '@emloc/checked';
import { FileRefusal } from '@emloc/untrusted';

/**
 * Codes of everything that reading and writing of checkpoints refuses; `docs/errors.md`
 * explains each.
 */
export type CheckpointErrorCode =
  | 'CHECKPOINT_NOT_FOUND'
  | 'CHECKPOINT_IO_FAILED'
  | 'CHECKPOINT_INVALID_FILE'
  | 'CHECKPOINT_LFS_POINTER'
  | 'CHECKPOINT_NOT_FINITE'
  | 'CHECKPOINT_INVALID_INDEX'
  | 'CHECKPOINT_INVALID_CONFIG'
  | 'CHECKPOINT_INVALID_OPTION'
  | 'CHECKPOINT_UNSUPPORTED_FORMAT'
  | 'CHECKPOINT_TENSOR_MISSING'
  | 'CHECKPOINT_TENSOR_MISMATCH'
  | 'CHECKPOINT_UNUSED_LAYERS'
  | 'CHECKPOINT_ADAPTER_INVALID'
  | 'CHECKPOINT_ADAPTER_UNSUPPORTED'
  | 'CHECKPOINT_ADAPTER_MISMATCH'
  | 'CHECKPOINT_OUTPUT_EXISTS'
  | 'CHECKPOINT_OUTPUT_UNWRITABLE'
  | 'CHECKPOINT_OUTPUT_BUSY'
  | 'CHECKPOINT_DISK_FULL'
  | 'CHECKPOINT_VALUE_OUT_OF_RANGE'
  | 'CHECKPOINT_VERIFICATION_FAILED';

/**
 * The one error type of this library. `message` names the file or tensor, the value and the limit.
 */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';

  constructor(
    readonly code: CheckpointErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** What was read is wrong, and will be when it is read again. */
  get isOfTheData(): boolean {
    return this.code === 'CHECKPOINT_NOT_FINITE';
  }
}

const maxQuotedCharacters = 200;

/** A name out of a file that may be hostile, fit for a message: escaped and of bounded length. */
export function quoted(name: unknown): string {
  const text = typeof name === 'string' ? name : textOf(name);
  const short = text.length > maxQuotedCharacters ? `${text.slice(0, maxQuotedCharacters)}…` : text;
  return /^[\w.\-/]+$/.test(short) ? short : JSON.stringify(short).replace(invisible, escaped);
}

/** Of a value out of JSON. One that is nested too deep for its kind has no text of its own. */
function textOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return Array.isArray(value) ? 'a list' : 'an object';
  }
}

/** Controls, marks of direction and line ends that JSON leaves as they are. */
const invisible = /[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/**
 * Turns an error of the file system into a typed one; others pass.
 * @param refusal the code of what is no regular file, or too large
 */
export function fileError(
  thrown: unknown,
  path: string,
  refusal: CheckpointErrorCode = 'CHECKPOINT_INVALID_FILE',
): unknown {
  const error = firstError(thrown);
  if (error instanceof FileRefusal)
    return new CheckpointError(refusal, error.message, { cause: error });
  const code = errnoCode(error);
  if (code === undefined || error instanceof CheckpointError) return error;
  if (code === 'ENOENT')
    return new CheckpointError('CHECKPOINT_NOT_FOUND', `${path} does not exist`, { cause: error });
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new CheckpointError('CHECKPOINT_DISK_FULL', `${path}: the disk is full (${code})`, {
      cause: error,
    });
  return new CheckpointError('CHECKPOINT_IO_FAILED', `${path}: ${code}`, { cause: error });
}

/**
 * `ENOENT` and the like, where the error is one of the file system. Not by class: it may come from
 * another realm.
 */
export function errnoCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error) || !('syscall' in error))
    return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
