import { join } from 'node:path';
import { allDone, at } from '@emloc/checked';

import { CheckpointError, quoted } from './errors.js';
import type { FileRange } from './file-hasher.js';
import { fingerprint } from './fingerprint.js';
import { assertFinite, FiniteScanner } from './finite.js';
import { isFloat } from './floats.js';
import type { ReleasableSafetensorsFile } from './safetensors-file.js';
import type { TensorDType } from './tensor-dtype.js';

interface CheckpointTensor {
  readonly dtype: TensorDType;
  readonly shape: readonly number[];
  /** Name of the file in the folder. */
  readonly file: string;
}

/**
 * An open Hugging Face folder: every header checked, no weight in memory. Reads may run
 * concurrently.
 */
export interface Checkpoint extends AsyncDisposable {
  readonly folder: string;
  /** By file name, then in the order of their data. */
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  /** config.json as it is. */
  readonly config: Readonly<Record<string, unknown>>;
  /**
   * SHA-256 in hex over config.json and, for each file by name, its size, its header and 256 bytes
   * from the middle of every tensor. Cheap at any size; tells base models and their fine-tunes
   * apart, but is no proof that every byte is equal.
   */
  fingerprint(): Promise<string>;
  /** Fills `destination`, which has the tensor's size, with its raw little-endian data. */
  read(name: string, destination: Uint8Array): Promise<void>;
  /**
   * As `read`; large tensors are looked through in threads meanwhile. Not for any but floats.
   * @throws CheckpointError CHECKPOINT_NOT_FINITE for a value that is NaN or infinite
   */
  readFinite(name: string, destination: Uint8Array): Promise<void>;
  /**
   * Fills `destination` with rows `startRow` to `endRow` (exclusive) of a tensor: indices of its
   * first dimension.
   */
  readRows(name: string, startRow: number, endRow: number, destination: Uint8Array): Promise<void>;
  /** Where the data of a tensor lies: the smallest range that has all of it. */
  rangeOf(name: string): FileRange;
  /**
   * To be called before what comes of the tensors is kept.
   * @throws CheckpointError CHECKPOINT_IO_FAILED where a file was changed since it was opened
   */
  assertUnchanged(): Promise<void>;
  close(): Promise<void>;
}

/** A checkpoint with its files, by name. */
export interface ShardedCheckpoint extends Checkpoint {
  readonly files: ReadonlyMap<string, ReleasableSafetensorsFile>;
  readonly indexFile: string | null;
  /** Where the rows of a tensor are stored, in their order; together as many as it has. */
  partsOf(name: string): readonly TensorPart[];
}

/** Rows of a tensor as it stands in a file: indices of its first dimension. */
export interface TensorPart {
  /** The tensor's name in the file. */
  readonly stored: string;
  readonly start: number;
  readonly rows: number;
}

/** A tensor of a checkpoint, which is rows of one or more that are stored in a file. */
export interface StoredTensor {
  readonly dtype: TensorDType;
  readonly shape: readonly number[];
  readonly file: string;
  /** In the order of its rows; absent: it is stored as it is, under its name. */
  readonly parts?: readonly TensorPart[];
}

interface Fields extends Pick<ShardedCheckpoint, 'folder' | 'config' | 'files' | 'indexFile'> {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly configBytes: Uint8Array;
}

/** Tensors of so many bytes are looked through at once, in this thread. */
const scannedHereBytes = 1 << 22;

/** Rows of a tensor; one of no dimensions has one. */
export function rowsIn(shape: readonly number[]): number {
  return shape.at(0) ?? 1;
}

/** A checkpoint whose tensors are rows of those in its files. Closes the files with itself. */
export class StoredCheckpoint implements ShardedCheckpoint {
  readonly folder;
  readonly tensors;
  readonly config;
  readonly files;
  readonly indexFile;
  readonly #configBytes;
  readonly #scanner = new FiniteScanner();
  #fingerprint: Promise<string> | null = null;

  constructor(fields: Fields) {
    ({ folder: this.folder, tensors: this.tensors, config: this.config } = fields);
    ({ files: this.files, indexFile: this.indexFile, configBytes: this.#configBytes } = fields);
  }

  fingerprint(): Promise<string> {
    this.#fingerprint ??= fingerprint(this.#configBytes, this.files);
    return this.#fingerprint;
  }

  async read(name: string, destination: Uint8Array): Promise<void> {
    const { tensor, rowBytes } = this.#found(name);
    const rows = rowsIn(tensor.shape);
    if (destination.byteLength !== rows * rowBytes) {
      throw new CheckpointError(
        'CHECKPOINT_TENSOR_MISMATCH',
        `${this.folder}: tensor ${quoted(name)} has ${rows * rowBytes} bytes, its destination ${destination.byteLength}`,
      );
    }
    await this.#read(name, { start: 0, end: rows }, destination);
  }

  async readFinite(name: string, destination: Uint8Array): Promise<void> {
    const { tensor } = this.#found(name);
    const { dtype } = tensor;
    if (!isFloat(dtype)) return this.read(name, destination);
    const place = { name, file: join(this.folder, tensor.file) };
    if (destination.byteLength <= scannedHereBytes) {
      await this.read(name, destination);
      assertFinite(destination, dtype, place);
      return;
    }
    const scans = this.#rangesOf(name).map((range) =>
      this.#scanner.assertFinite(range, dtype, place),
    );
    await allDone([this.read(name, destination), ...scans]);
  }

  async readRows(
    name: string,
    startRow: number,
    endRow: number,
    destination: Uint8Array,
  ): Promise<void> {
    const { tensor, rowBytes } = this.#found(name);
    const { shape } = tensor;
    const rows = rowsIn(shape);
    const areRows = Number.isSafeInteger(startRow) && Number.isSafeInteger(endRow);
    if (!areRows || startRow < 0 || startRow > endRow || endRow > rows) {
      throw new CheckpointError(
        'CHECKPOINT_TENSOR_MISMATCH',
        `${this.folder}: rows ${startRow} to ${endRow} of ${quoted(name)}, which has shape [${shape.join(', ')}]`,
      );
    }
    const expected = (endRow - startRow) * rowBytes;
    if (destination.byteLength !== expected) {
      throw new CheckpointError(
        'CHECKPOINT_TENSOR_MISMATCH',
        `${this.folder}: ${endRow - startRow} rows of ${quoted(name)} take ${expected} bytes, the destination has ${destination.byteLength}`,
      );
    }
    await this.#read(name, { start: startRow, end: endRow }, destination);
  }

  rangeOf(name: string): FileRange {
    const ranges = this.#rangesOf(name);
    const start = Math.min(...ranges.map((range) => range.start));
    const end = Math.max(...ranges.map((range) => range.start + range.bytes));
    return { ...at(ranges, 0), start, bytes: end - start };
  }

  async assertUnchanged(): Promise<void> {
    for (const file of this.files.values()) await file.assertUnchanged();
  }

  partsOf(name: string): readonly TensorPart[] {
    return this.#found(name).parts;
  }

  async close(): Promise<void> {
    await this.#scanner.close();
    await closeAll(this.files);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Where the rows of a tensor lie, in their order. */
  #rangesOf(name: string): readonly FileRange[] {
    const { parts, file, rowBytes } = this.#found(name);
    return parts.map(({ stored, start, rows }) => {
      const range = file.rangeOf(stored);
      return { ...range, start: range.start + start * rowBytes, bytes: rows * rowBytes };
    });
  }

  async #read(
    name: string,
    { start, end }: { start: number; end: number },
    destination: Uint8Array,
  ): Promise<void> {
    const { parts, file, rowBytes } = this.#found(name);
    let before = 0;
    for (const part of parts) {
      const first = Math.max(start, before);
      const last = Math.min(end, before + part.rows);
      if (first < last)
        await file.readRange(
          part.stored,
          (part.start + first - before) * rowBytes,
          destination.subarray((first - start) * rowBytes, (last - start) * rowBytes),
        );
      before += part.rows;
    }
  }

  #found(name: string): {
    readonly tensor: StoredTensor;
    readonly parts: readonly TensorPart[];
    readonly file: ReleasableSafetensorsFile;
    readonly rowBytes: number;
  } {
    const tensor = this.tensors.get(name);
    const file = tensor && this.files.get(tensor.file);
    const stored = file?.tensors.get(tensor?.parts?.at(0)?.stored ?? name);
    if (!tensor || !file || !stored) {
      throw new CheckpointError(
        'CHECKPOINT_TENSOR_MISSING',
        `${this.folder} has no tensor ${quoted(name)}`,
      );
    }
    const rows = rowsIn(stored.shape);
    const parts = tensor.parts ?? [{ stored: name, start: 0, rows }];
    return { tensor, parts, file, rowBytes: rows === 0 ? 0 : (stored.end - stored.start) / rows };
  }
}

export async function closeAll(
  files: ReadonlyMap<string, ReleasableSafetensorsFile>,
): Promise<void> {
  await Promise.all([...files.values()].map((file) => file.close()));
}
