import { at } from '@emloc/checked';

import { duplicateKey } from './duplicate-keys.js';
import { CheckpointError, quoted } from './errors.js';
import { parseJson } from './json-file.js';
import { dtypeOfName, tensorBytes, type TensorDType } from './tensor-dtype.js';

/** Bytes before the header: its length as a little-endian uint64. */
export const headerPrefixBytes = 8;
/** The format's own limit. */
export const maxHeaderBytes = 100_000_000;
/** Those of 100,000 tensors: as many as the largest models have in all their files. */
const maxHeaderValues = 700_000;
/** A shape is a list in an object in an object. */
const maxHeaderDepth = 16;
/** As torch has it. */
const maxDimensions = 64;
export const metadataKey = '__metadata__';

export interface SafetensorsTensor {
  readonly dtype: TensorDType;
  readonly shape: readonly number[];
  /** Offsets in bytes from the end of the header; `end` is exclusive. */
  readonly start: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  /** In the order of their data. */
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * The length of the header from a file's first 8 bytes.
 * @throws CheckpointError CHECKPOINT_INVALID_FILE when the file cannot hold it.
 */
export function headerLength(prefix: Uint8Array, fileBytes: number, path: string): number {
  if (fileBytes < headerPrefixBytes || prefix.byteLength < headerPrefixBytes) {
    throw invalid(
      path,
      `${fileBytes} bytes are no safetensors file (it starts with ${headerPrefixBytes} bytes of header length)`,
    );
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset, headerPrefixBytes).getBigUint64(
    0,
    true,
  );
  if (length > BigInt(maxHeaderBytes))
    throw invalid(path, `header of ${length} bytes is above the limit of ${maxHeaderBytes}`);
  const bytes = Number(length);
  if (bytes > fileBytes - headerPrefixBytes) {
    throw invalid(
      path,
      `header of ${bytes} bytes does not fit into the file of ${fileBytes} bytes`,
    );
  }
  return bytes;
}

/**
 * Checks everything that a header says: JSON without duplicate keys, known dtypes, sizes that match
 * shape times dtype, data that fills its `dataBytes` without overlap or hole.
 * @throws CheckpointError CHECKPOINT_INVALID_FILE
 */
export function parseHeader(bytes: Uint8Array, dataBytes: number, path: string): SafetensorsHeader {
  const entries = Object.entries(parseObject(bytes, path));
  const tensors = entries
    .filter(([name]) => name !== metadataKey)
    .map(([name, value]) => [name, parseTensor(name, value, path)] as const)
    .sort(([, a], [, b]) => a.start - b.start || a.end - b.end);
  assertFilled(tensors, dataBytes, path);
  const metadata = entries.find(([name]) => name === metadataKey)?.[1];
  return { tensors: new Map(tensors), metadata: parseMetadata(metadata, path) };
}

function parseObject(bytes: Uint8Array, path: string): object {
  const refusal = (reason: string, cause: unknown): CheckpointError =>
    invalid(path, `the header is not UTF-8 JSON: ${reason}`, { cause });
  const text = decode(bytes, refusal);
  const limits = { maxDepth: maxHeaderDepth, maxValues: maxHeaderValues };
  const value = parseJson(text, refusal, limits);
  if (!isObject(value) || !text.startsWith('{'))
    throw invalid(path, 'the header is not a JSON object');
  const duplicate = duplicateKey(text);
  if (duplicate !== null) throw invalid(path, `the header has the key ${quoted(duplicate)} twice`);
  return value;
}

function decode(
  bytes: Uint8Array,
  refusal: (reason: string, cause: unknown) => CheckpointError,
): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw refusal('its text is no UTF-8', error);
  }
}

function parseTensor(name: string, value: unknown, path: string): SafetensorsTensor {
  const fail = (reason: string): never => {
    throw invalid(path, `tensor ${quoted(name)}: ${reason}`);
  };
  if (!isObject(value)) return fail('its entry is not an object');
  const { dtype: dtypeName, shape, data_offsets: offsets } = value as Record<string, unknown>;
  const dtype = typeof dtypeName === 'string' ? dtypeOfName(dtypeName) : undefined;
  if (!dtype) return fail(`unknown dtype ${quoted(dtypeName)}`);
  if (!isExtents(shape))
    return fail(`shape ${quoted(shape)} is not a list of non-negative integers`);
  if (shape.length > maxDimensions)
    return fail(`it has ${shape.length} dimensions, at most ${maxDimensions} are read`);
  if (!isExtents(offsets) || offsets.length !== 2)
    return fail(`data_offsets ${quoted(offsets)} are not two non-negative integers`);
  const [start, end] = [at(offsets, 0), at(offsets, 1)];
  if (end < start) return fail(`data ends at ${end}, before its start ${start}`);
  const expected = tensorBytes(shape, dtype);
  if (expected === null)
    return fail(`shape [${quoted(shape.join(', '))}] of ${String(dtypeName)} has no size in bytes`);
  if (end - start !== expected)
    return fail(`${end - start} bytes of data, ${expected} for its shape and dtype`);
  return { dtype, shape, start, end };
}

function assertFilled(
  tensors: readonly (readonly [string, SafetensorsTensor])[],
  dataBytes: number,
  path: string,
): void {
  let filled = 0;
  for (const [name, { start, end }] of tensors) {
    if (end > dataBytes)
      throw invalid(
        path,
        `tensor ${quoted(name)} ends at byte ${end} of ${dataBytes} bytes of data`,
      );
    if (start < filled)
      throw invalid(
        path,
        `tensor ${quoted(name)} at byte ${start} overlaps the one before it, which ends at ${filled}`,
      );
    if (start > filled)
      throw invalid(path, `no tensor has the bytes ${filled} to ${start} before ${quoted(name)}`);
    filled = end;
  }
  if (filled !== dataBytes)
    throw invalid(
      path,
      `the tensors take ${filled} bytes, the file has ${dataBytes} bytes of data`,
    );
}

function parseMetadata(value: unknown, path: string): Record<string, string> {
  if (value === undefined || value === null) return {};
  const entries = isObject(value) ? Object.entries(value) : null;
  if (!entries?.every((entry): entry is [string, string] => typeof entry[1] === 'string')) {
    throw invalid(path, `${metadataKey} is not an object of strings`);
  }
  return Object.fromEntries(entries);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isExtents(value: unknown): value is number[] {
  return (
    Array.isArray(value) &&
    value.every((extent) => Number.isSafeInteger(extent) && extent >= 0 && !Object.is(extent, -0))
  );
}

function invalid(path: string, reason: string, options?: ErrorOptions): CheckpointError {
  return new CheckpointError('CHECKPOINT_INVALID_FILE', `${path}: ${reason}`, options);
}
