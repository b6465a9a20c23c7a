import { CheckpointError, quoted } from './errors.js';
import type { FileRange } from './file-hasher.js';
import { assertNoLfsPointer, lfsBeginningBytes } from './lfs-pointer.js';
import { RangedFile } from './ranged-file.js';
import {
  headerLength,
  headerPrefixBytes,
  parseHeader,
  type SafetensorsHeader,
  type SafetensorsTensor,
} from './safetensors-header.js';

/**
 * An open safetensors file. Nothing but its header is kept in memory; reads may run concurrently.
 */
export interface SafetensorsFile extends AsyncDisposable {
  readonly path: string;
  /** Size of the whole file. */
  readonly bytes: number;
  /** In the order of their data. */
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>;
  readonly metadata: Readonly<Record<string, string>>;
  /** The header as it stands in the file, padding included. */
  readonly headerBytes: Uint8Array;
  /** Fills `destination`, which has the tensor's size, with its raw little-endian data. */
  read(name: string, destination: Uint8Array): Promise<void>;
  /** Fills `destination` from byte `offset` of the tensor. */
  readRange(name: string, offset: number, destination: Uint8Array): Promise<void>;
  /** Where the data of a tensor lies. */
  rangeOf(name: string): FileRange;
  close(): Promise<void>;
}

/**
 * Opens a file and checks its whole header.
 * @throws CheckpointError CHECKPOINT_NOT_FOUND, CHECKPOINT_IO_FAILED, CHECKPOINT_INVALID_FILE
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  return openReleasable(path);
}

/** A file whose handle can be given back while it stays open. */
export interface ReleasableSafetensorsFile extends SafetensorsFile {
  release(): Promise<void>;
  /** @throws CheckpointError CHECKPOINT_IO_FAILED where the file was changed since it was opened */
  assertUnchanged(): Promise<void>;
}

export async function openReleasable(path: string): Promise<ReleasableSafetensorsFile> {
  const file = await RangedFile.open(path);
  try {
    const prefix = new Uint8Array(Math.min(lfsBeginningBytes, file.bytes));
    await file.read(prefix, 0);
    assertNoLfsPointer(prefix, path);
    const headerBytes = new Uint8Array(headerLength(prefix, file.bytes, path));
    await file.read(headerBytes, headerPrefixBytes);
    const dataStart = headerPrefixBytes + headerBytes.byteLength;
    return new RangedSafetensorsFile(
      file,
      headerBytes,
      parseHeader(headerBytes, file.bytes - dataStart, path),
    );
  } catch (error) {
    await file.close();
    throw error;
  }
}

class RangedSafetensorsFile implements ReleasableSafetensorsFile {
  constructor(
    private readonly file: RangedFile,
    readonly headerBytes: Uint8Array,
    private readonly header: SafetensorsHeader,
  ) {}

  get path(): string {
    return this.file.path;
  }

  get bytes(): number {
    return this.file.bytes;
  }

  get tensors(): ReadonlyMap<string, SafetensorsTensor> {
    return this.header.tensors;
  }

  get metadata(): Readonly<Record<string, string>> {
    return this.header.metadata;
  }

  async read(name: string, destination: Uint8Array): Promise<void> {
    const { start, end } = this.#tensor(name);
    if (destination.byteLength !== end - start) {
      throw new CheckpointError(
        'CHECKPOINT_TENSOR_MISMATCH',
        `${this.path}: tensor ${quoted(name)} has ${end - start} bytes, its destination ${destination.byteLength}`,
      );
    }
    await this.readRange(name, 0, destination);
  }

  async readRange(name: string, offset: number, destination: Uint8Array): Promise<void> {
    const { start, end } = this.#tensor(name);
    if (
      !Number.isSafeInteger(offset) ||
      offset < 0 ||
      offset + destination.byteLength > end - start
    ) {
      throw new CheckpointError(
        'CHECKPOINT_TENSOR_MISMATCH',
        `${this.path}: bytes ${offset} to ${offset + destination.byteLength} of tensor ${quoted(name)}, which has ${end - start}`,
      );
    }
    await this.file.read(destination, this.rangeOf(name).start + offset);
  }

  rangeOf(name: string): FileRange {
    const { start, end } = this.#tensor(name);
    const dataStart = headerPrefixBytes + this.headerBytes.byteLength;
    const { path, modifiedMs } = this.file;
    return { path, start: dataStart + start, bytes: end - start, modifiedMs };
  }

  release(): Promise<void> {
    return this.file.release();
  }

  assertUnchanged(): Promise<void> {
    return this.file.assertUnchanged();
  }

  close(): Promise<void> {
    return this.file.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #tensor(name: string): SafetensorsTensor {
    const tensor = this.header.tensors.get(name);
    if (!tensor)
      throw new CheckpointError(
        'CHECKPOINT_TENSOR_MISSING',
        `${this.path} has no tensor ${quoted(name)}`,
      );
    return tensor;
  }
}
