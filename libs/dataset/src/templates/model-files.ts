import type { Buffer } from 'node:buffer';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FileRefusal, JsonTextError, parseJsonText, readRegularFile } from '@emloc/untrusted';

import { DatasetError } from '../errors.js';
import { isLfsPointer, lfsBeginningLength, lfsReason } from '../lfs-pointer.js';
import { quote } from '../tokenizers/errors.js';

export type JsonObject = Readonly<Record<string, unknown>>;

/** Four times what the largest vocabularies have. */
const maxFileBytes = 128_000_000;

/**
 * A JSON object of the folder, null where the file does not exist.
 * @throws DatasetError DATASET_TOKENIZER_INVALID
 */
export async function readJsonObject(folder: string, name: string): Promise<JsonObject | null> {
  const text = await readText(folder, name);
  if (text === null) return null;
  const value = parsed(text, (reason, cause) => invalid(folder, name, reason, cause));
  if (!isJsonObject(value)) throw invalid(folder, name, 'not a JSON object');
  return value;
}

function parsed(text: string, refusal: (reason: string, cause: unknown) => DatasetError): unknown {
  try {
    return parseJsonText(text);
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error;
    const where = error.key === null ? '' : `${quote(error.key)}: `;
    throw refusal(`not valid JSON: ${where}${error.reason}`, error);
  }
}

/**
 * Text of a file of the folder, null where it does not exist.
 * @throws DatasetError DATASET_TOKENIZER_INVALID
 */
export async function readText(folder: string, name: string): Promise<string | null> {
  const text = await textOf(folder, name);
  if (text !== null && isLfsPointer(text)) throw invalid(folder, name, lfsReason);
  return text;
}

/**
 * Bytes of a file of the folder, null where it does not exist.
 * @throws DatasetError DATASET_TOKENIZER_INVALID
 */
export async function readBytes(folder: string, name: string): Promise<Uint8Array | null> {
  const bytes = await bytesOf(folder, name);
  if (bytes && isLfsPointer(bytes.toString('latin1', 0, lfsBeginningLength)))
    throw invalid(folder, name, lfsReason);
  return bytes;
}

async function textOf(folder: string, name: string): Promise<string | null> {
  return (await bytesOf(folder, name))?.toString('utf8') ?? null;
}

async function bytesOf(folder: string, name: string): Promise<Buffer | null> {
  try {
    return await readRegularFile(join(folder, name), maxFileBytes);
  } catch (cause) {
    if (isMissing(cause)) return null;
    if (cause instanceof FileRefusal) throw invalid(folder, name, cause.reason, cause);
    throw invalid(folder, name, 'cannot be read', cause);
  }
}

/** Names in a folder of the folder, sorted; none where it does not exist. */
export async function listNames(folder: string, name: string): Promise<string[]> {
  try {
    return (await readdir(join(folder, name))).sort();
  } catch (cause) {
    if (isMissing(cause)) return [];
    throw invalid(folder, name, 'cannot be read', cause);
  }
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

function invalid(folder: string, name: string, reason: string, cause?: unknown): DatasetError {
  return new DatasetError('DATASET_TOKENIZER_INVALID', `${join(folder, name)}: ${reason}`, {
    cause,
  });
}
