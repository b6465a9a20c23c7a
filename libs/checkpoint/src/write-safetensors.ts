import type { FileHandle } from 'node:fs/promises';

import { writeFileAtomic, type AtomicOptions } from './atomic.js';
import { CheckpointError, quoted } from './errors.js';
import { headerPrefixBytes, maxHeaderBytes, metadataKey } from './safetensors-header.js';
import { alignmentRank, nameOfDType, tensorBytes, type TensorDType } from './tensor-dtype.js';

/** Data of a tensor, whole or in pieces; each piece is written before the next is asked for. */
type TensorData = Uint8Array | AsyncIterable<Uint8Array>;

export interface SafetensorsEntry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: TensorDType;
  /** Called once, when the tensor's turn comes: only one tensor is in memory at a time. */
  data(): TensorData | Promise<TensorData>;
}

export interface WriteSafetensorsOptions extends AtomicOptions {
  /**
   * 'standard' (default): by dtype, widest first, then by name, as the reference writer does;
   * 'given': as the entries come.
   */
  readonly order?: 'standard' | 'given';
  /** Sees every piece of the file in order, e.g. to hash it. */
  readonly onBytes?: (bytes: Uint8Array) => void;
}

const headerAlignmentBytes = 8;
/** More than this in one write is refused by some kernels. */
const maxWriteBytes = 1 << 30;

/**
 * Writes a safetensors file beside its place, syncs it and renames it. Equal entries and metadata
 * give equal bytes.
 * @throws CheckpointError CHECKPOINT_TENSOR_MISMATCH when data is not of its entry's size; nothing
 * is left behind then.
 */
export async function writeSafetensors(
  path: string,
  entries: Iterable<SafetensorsEntry>,
  metadata: Readonly<Record<string, string>>,
  options: WriteSafetensorsOptions = {},
): Promise<void> {
  const ordered = options.order === 'given' ? [...entries] : [...entries].sort(compareEntries);
  const header = encodeHeader(path, ordered, metadata);
  await writeFileAtomic(
    path,
    async (file) => {
      const writer = new FileWriter(file, options);
      await writer.write(header);
      for (const entry of ordered) await writeTensor(writer, entry, path);
    },
    options,
  );
}

/** Bytes of the file that `writeSafetensors` makes of these in standard order. */
export function safetensorsBytes(
  entries: readonly Omit<SafetensorsEntry, 'data'>[],
  metadata: Readonly<Record<string, string>>,
): number {
  const path = 'safetensors';
  const header = encodeHeader(path, [...entries].sort(compareEntries), metadata);
  return entries.reduce((sum, entry) => sum + sizeOf(entry, path), header.byteLength);
}

/** Widest elements first, so that every tensor is aligned, then by name in code points. */
function compareEntries(
  a: Omit<SafetensorsEntry, 'data'>,
  b: Omit<SafetensorsEntry, 'data'>,
): number {
  return (
    alignmentRank(b.dtype) - alignmentRank(a.dtype) ||
    Buffer.compare(Buffer.from(a.name), Buffer.from(b.name))
  );
}

function encodeHeader(
  path: string,
  entries: readonly Omit<SafetensorsEntry, 'data'>[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const fields = new Map<string, unknown>();
  if (Object.keys(metadata).length > 0) fields.set(metadataKey, sortedByKey(metadata));
  let start = 0;
  for (const entry of entries) {
    if (fields.has(entry.name) || entry.name === metadataKey) {
      throw new CheckpointError(
        'CHECKPOINT_INVALID_OPTION',
        `${path}: two tensors with the name ${quoted(entry.name)}`,
      );
    }
    const end = start + sizeOf(entry, path);
    fields.set(entry.name, {
      dtype: nameOfDType(entry.dtype),
      shape: entry.shape,
      data_offsets: [start, end],
    });
    start = end;
  }
  return frameHeader(path, objectText(fields));
}

/**
 * JSON with the keys in the map's order, which an object would not keep for names that look like
 * numbers.
 */
function objectText(fields: ReadonlyMap<string, unknown>): string {
  return `{${[...fields].map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`;
}

function frameHeader(path: string, json: string): Uint8Array {
  const text = Buffer.from(json);
  const padded = Math.ceil(text.byteLength / headerAlignmentBytes) * headerAlignmentBytes;
  if (padded > maxHeaderBytes) {
    throw new CheckpointError(
      'CHECKPOINT_INVALID_OPTION',
      `${path}: header of ${padded} bytes is above the limit of ${maxHeaderBytes}`,
    );
  }
  const header = Buffer.alloc(headerPrefixBytes + padded, ' ');
  header.writeBigUInt64LE(BigInt(padded));
  header.set(text, headerPrefixBytes);
  return header;
}

async function writeTensor(
  writer: FileWriter,
  entry: SafetensorsEntry,
  path: string,
): Promise<void> {
  const expected = sizeOf(entry, path);
  const data = await entry.data();
  let written = 0;
  const writePiece = async (piece: Uint8Array) => {
    written += piece.byteLength;
    if (written <= expected) await writer.write(piece);
  };
  if (data instanceof Uint8Array) await writePiece(data);
  else for await (const piece of data) await writePiece(piece);
  if (written !== expected) {
    throw new CheckpointError(
      'CHECKPOINT_TENSOR_MISMATCH',
      `${path}: tensor ${quoted(entry.name)} takes ${expected} bytes, got ${written}`,
    );
  }
}

function sizeOf({ name, shape, dtype }: Omit<SafetensorsEntry, 'data'>, path: string): number {
  const bytes = tensorBytes(shape, dtype);
  if (bytes === null || shape.some((extent) => !Number.isSafeInteger(extent) || extent < 0)) {
    throw new CheckpointError(
      'CHECKPOINT_INVALID_OPTION',
      `${path}: tensor ${quoted(name)} cannot have shape [${shape.join(', ')}] and dtype ${dtype}`,
    );
  }
  return bytes;
}

function sortedByKey(record: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}

class FileWriter {
  constructor(
    private readonly file: FileHandle,
    private readonly options: WriteSafetensorsOptions,
  ) {}

  async write(bytes: Uint8Array): Promise<void> {
    this.options.signal?.throwIfAborted();
    this.options.onBytes?.(bytes);
    let done = 0;
    while (done < bytes.byteLength) {
      done += (await this.file.write(bytes, done, Math.min(maxWriteBytes, bytes.byteLength - done)))
        .bytesWritten;
    }
  }
}
