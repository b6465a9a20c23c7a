import { readFile, stat } from 'node:fs/promises';

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
    const info = await stat(path);
    if (!info.isFile()) throw new CheckpointError(code, `${path} is not a regular file`);
    if (info.size > maxJsonBytes)
      throw new CheckpointError(
        code,
        `${path} has ${info.size} bytes, above the limit of ${maxJsonBytes}`,
      );
    return await readFile(path);
  } catch (error) {
    throw fileError(error, path);
  }
}

export function parseJsonObject(
  bytes: Buffer,
  path: string,
  code: CheckpointErrorCode,
): Record<string, unknown> {
  assertNoLfsPointer(bytes, path);
  const text = bytes.toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const bare = bareNumber(text);
    const reason = bare ? `: ${quoted(bare.key)} is ${bare.value}, which is no JSON number` : '';
    throw new CheckpointError(code, `${path} is not JSON${reason}`, { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CheckpointError(code, `${path} does not hold a JSON object`);
  return value as Record<string, unknown>;
}
