import { readFile, stat } from 'node:fs/promises';

import { CheckpointError, fileError, type CheckpointErrorCode } from './errors.js';

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
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new CheckpointError(code, `${path} is not JSON`, { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CheckpointError(code, `${path} does not hold a JSON object`);
  return value as Record<string, unknown>;
}
