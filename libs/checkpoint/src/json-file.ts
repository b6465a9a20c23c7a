import { JsonTextError, parseJsonText, readRegularFile, type JsonLimits } from '@emloc/untrusted';

import { bareNumber } from './bare-number.js';
import { CheckpointError, fileError, quoted, type CheckpointErrorCode } from './errors.js';
import { assertNoLfsPointer } from './lfs-pointer.js';

const maxJsonBytes = 100_000_000;

/**
 * Parses a file that holds a JSON object.
 * @throws CheckpointError CHECKPOINT_NOT_FOUND, or `code` when it holds something else.
 */
export async function readJsonObject(
  path: string,
  code: CheckpointErrorCode,
): Promise<Record<string, unknown>> {
  return parseJsonObject(await readJsonBytes(path, code), path, code);
}

/** The bytes of a JSON file of bearable size. */
export async function readJsonBytes(path: string, code: CheckpointErrorCode): Promise<Buffer> {
  try {
    return await readRegularFile(path, maxJsonBytes);
  } catch (error) {
    throw fileError(error, path, code);
  }
}

export function parseJsonObject(
  bytes: Buffer,
  path: string,
  code: CheckpointErrorCode,
  limits: JsonLimits = {},
): Record<string, unknown> {
  assertNoLfsPointer(bytes, path);
  const text = bytes.toString('utf8');
  const refusal = (reason: string, cause: unknown): CheckpointError => {
    const bare = bareNumber(text);
    const words = bare ? `${quoted(bare.key)} is ${bare.value}, which is no JSON number` : reason;
    return new CheckpointError(code, `${path} is not JSON: ${words}`, { cause });
  };
  const value = parseJson(text, refusal, limits);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CheckpointError(code, `${path} does not hold a JSON object`);
  return value as Record<string, unknown>;
}

/**
 * Parses JSON that may be anyone's.
 * @param refusal makes the error of what is wrong
 */
export function parseJson(
  text: string,
  refusal: (reason: string, cause: unknown) => CheckpointError,
  limits: JsonLimits = {},
): unknown {
  try {
    return parseJsonText(text, limits);
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error;
    const where = error.key === null ? '' : `${quoted(error.key)}: `;
    throw refusal(where + error.reason, error);
  }
}
