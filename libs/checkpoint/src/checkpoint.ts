import { join } from 'node:path';

import { CheckpointError, quoted } from './errors.js';
import type { FileRange } from './file-hasher.js';
import { fingerprint } from './fingerprint.js';
import { parseJsonObject, readJsonBytes } from './json-file.js';
import { openReleasable, type ReleasableSafetensorsFile } from './safetensors-file.js';
import { indexFileName, readShardIndex, type ShardIndex } from './shard-index.js';
import type { TensorDType } from './tensor-dtype.js';

export const configFileName = 'config.json';

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
   * Fills `destination` with rows `startRow` to `endRow` (exclusive) of a tensor: indices of its
   * first dimension.
   */
  readRows(name: string, startRow: number, endRow: number, destination: Uint8Array): Promise<void>;
  /** Where the data of a tensor lies. */
  rangeOf(name: string): FileRange;
  close(): Promise<void>;
}

/**
 * Opens a folder with one model.safetensors, or with shards and their index.
 * @throws CheckpointError before any weight is read: missing or malformed files, an index that
 * disagrees with its shards.
 */
export async function openCheckpoint(folder: string): Promise<Checkpoint> {
  return openShards(folder);
}

/** A checkpoint with its files, by name. */
export interface ShardedCheckpoint extends Checkpoint {
  readonly files: ReadonlyMap<string, ReleasableSafetensorsFile>;
  readonly hasIndex: boolean;
}

export async function openShards(folder: string): Promise<ShardedCheckpoint> {
  const index = await readShardIndex(folder);
  const configPath = join(folder, configFileName);
  const configBytes = await readJsonBytes(configPath, 'CHECKPOINT_INVALID_CONFIG');
  const config = parseJsonObject(configBytes, configPath, 'CHECKPOINT_INVALID_CONFIG');
  const files = new Map<string, ReleasableSafetensorsFile>();
  try {
    for (const name of index.files) {
      const file = await openReleasable(join(folder, name));
      files.set(name, file);
      await file.release();
    }
    const tensors = locateTensors(folder, index, files);
    return new FolderCheckpoint({
      folder,
      tensors,
      config,
      files,
      hasIndex: index.weightMap !== null,
      configBytes,
    });
  } catch (error) {
    await closeAll(files);
    throw error;
  }
}

function locateTensors(
  folder: string,
  { weightMap }: ShardIndex,
  files: ReadonlyMap<string, ReleasableSafetensorsFile>,
): Map<string, CheckpointTensor> {
  const tensors = new Map<string, CheckpointTensor>();
  for (const [file, { tensors: inFile }] of files) {
    for (const [name, { dtype, shape }] of inFile) {
      const mapped = weightMap ? weightMap.get(name) : file;
      if (mapped !== file) {
        const where = mapped === undefined ? 'does not name it' : `maps it to ${mapped}`;
        throw new CheckpointError(
          'CHECKPOINT_INVALID_INDEX',
          `${folder}: ${file} holds ${quoted(name)}, but ${indexFileName} ${where}`,
        );
      }
      tensors.set(name, { dtype, shape, file });
    }
  }
  for (const [name, file] of weightMap ?? []) {
    if (!tensors.has(name)) {
      throw new CheckpointError(
        'CHECKPOINT_INVALID_INDEX',
        `${folder}: ${indexFileName} maps ${quoted(name)} to ${file}, which does not hold it`,
      );
    }
  }
  return tensors;
}

interface Fields extends Pick<
  ShardedCheckpoint,
  'folder' | 'tensors' | 'config' | 'files' | 'hasIndex'
> {
  readonly configBytes: Uint8Array;
}

class FolderCheckpoint implements ShardedCheckpoint {
  readonly folder;
  readonly tensors;
  readonly config;
  readonly files;
  readonly hasIndex;
  readonly #configBytes;
  #fingerprint: Promise<string> | null = null;

  constructor(fields: Fields) {
    ({ folder: this.folder, tensors: this.tensors, config: this.config } = fields);
    ({ files: this.files, hasIndex: this.hasIndex, configBytes: this.#configBytes } = fields);
  }

  fingerprint(): Promise<string> {
    this.#fingerprint ??= fingerprint(this.#configBytes, this.files);
    return this.#fingerprint;
  }

  async read(name: string, destination: Uint8Array): Promise<void> {
    await this.#fileOf(name).read(name, destination);
  }

  async readRows(
    name: string,
    startRow: number,
    endRow: number,
    destination: Uint8Array,
  ): Promise<void> {
    const file = this.#fileOf(name);
    const { start = 0, end = 0, shape = [] } = file.tensors.get(name) ?? {};
    const [rows] = shape;
    if (
      rows === undefined ||
      !(
        Number.isSafeInteger(startRow) &&
        Number.isSafeInteger(endRow) &&
        startRow >= 0 &&
        startRow <= endRow &&
        endRow <= rows
      )
    ) {
      throw new CheckpointError(
        'CHECKPOINT_TENSOR_MISMATCH',
        `${this.folder}: rows ${startRow} to ${endRow} of ${quoted(name)}, which has shape [${shape.join(', ')}]`,
      );
    }
    const rowBytes = rows === 0 ? 0 : (end - start) / rows;
    const expected = (endRow - startRow) * rowBytes;
    if (destination.byteLength !== expected) {
      throw new CheckpointError(
        'CHECKPOINT_TENSOR_MISMATCH',
        `${this.folder}: ${endRow - startRow} rows of ${quoted(name)} take ${expected} bytes, the destination has ${destination.byteLength}`,
      );
    }
    await file.readRange(name, startRow * rowBytes, destination);
  }

  rangeOf(name: string): FileRange {
    return this.#fileOf(name).rangeOf(name);
  }

  close(): Promise<void> {
    return closeAll(this.files);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #fileOf(name: string): ReleasableSafetensorsFile {
    const tensor = this.tensors.get(name);
    const file = tensor && this.files.get(tensor.file);
    if (!file)
      throw new CheckpointError(
        'CHECKPOINT_TENSOR_MISSING',
        `${this.folder} has no tensor ${quoted(name)}`,
      );
    return file;
  }
}

async function closeAll(files: ReadonlyMap<string, ReleasableSafetensorsFile>): Promise<void> {
  await Promise.all([...files.values()].map((file) => file.close()));
}
