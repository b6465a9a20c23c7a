import type { FileHandle } from 'node:fs/promises';
import { allDone } from '@emloc/checked';
import { openRegularFile } from '@emloc/untrusted';

import { CheckpointError, fileError } from './errors.js';

/**
 * Larger reads are split: one thread copies from the page cache at a fraction of what memory gives.
 */
const pieceBytes = 1 << 24;
/** Pieces of one read under way at once; several such reads fill Node's thread pool. */
const concurrentPieces = 8;

/** Between two looks, as reads end, whether a file is as it was: looking takes microseconds. */
const lookMs = 1000;

/**
 * A file that is read by ranges. Its handle opens at the first read, again after a release if the
 * file is as it was, which is looked at now and then while it is open. Concurrent reads are
 * allowed.
 */
export class RangedFile {
  #handle: Promise<FileHandle> | null = null;
  #closed = false;
  #lookedAt = performance.now();

  private constructor(
    readonly path: string,
    readonly bytes: number,
    /** When its contents changed last before it was opened, milliseconds since 1970. */
    readonly modifiedMs: number,
  ) {}

  /** @throws CheckpointError when there is no such regular file. */
  static async open(path: string): Promise<RangedFile> {
    try {
      const { handle, bytes, modifiedMs } = await openRegularFile(path);
      const file = new RangedFile(path, bytes, modifiedMs);
      file.#handle = Promise.resolve(handle);
      return file;
    } catch (error) {
      throw fileError(error, path);
    }
  }

  /**
   * Fills `destination` from `position`, in several reads at once. Settles when none is under way.
   * @throws CheckpointError when the file ends before, or was seen to be changed
   */
  async read(destination: Uint8Array, position: number): Promise<void> {
    try {
      const handle = await this.#open();
      let next = 0;
      const readPieces = async (): Promise<void> => {
        for (let start = next; start < destination.byteLength; start = next) {
          next += pieceBytes;
          await this.#readPiece(
            handle,
            destination.subarray(start, start + pieceBytes),
            position + start,
          );
        }
      };
      const pieces = Math.ceil(destination.byteLength / pieceBytes);
      await allDone(Array.from({ length: Math.min(pieces, concurrentPieces) }, readPieces));
      if (performance.now() - this.#lookedAt > lookMs) await this.#look(handle);
    } catch (error) {
      throw fileError(error, this.path);
    }
  }

  /** @throws CheckpointError where what was read may be of two versions of the file */
  async assertUnchanged(): Promise<void> {
    try {
      // What was given back is looked at where it is opened again.
      const handle = await this.#handle;
      if (handle) await this.#look(handle);
    } catch (error) {
      throw fileError(error, this.path);
    }
  }

  /** Gives the handle back; the next read opens it again. */
  async release(): Promise<void> {
    const handle = this.#handle;
    this.#handle = null;
    await (await handle)?.close();
  }

  /** Waits for reads under way; later ones are refused. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.release();
  }

  async #readPiece(handle: FileHandle, destination: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < destination.byteLength) {
      const { bytesRead } = await handle.read(
        destination,
        done,
        destination.byteLength - done,
        position + done,
      );
      if (bytesRead === 0)
        throw new CheckpointError(
          'CHECKPOINT_IO_FAILED',
          `${this.path} ends at byte ${position + done}: it was cut since it was opened`,
        );
      done += bytesRead;
    }
  }

  #open(): Promise<FileHandle> {
    if (this.#closed)
      return Promise.reject(new CheckpointError('CHECKPOINT_IO_FAILED', `${this.path} is closed`));
    if (!this.#handle) {
      const handle = this.#reopen();
      this.#handle = handle;
      handle.catch(() => {
        if (this.#handle === handle) this.#handle = null;
      });
    }
    return this.#handle;
  }

  async #reopen(): Promise<FileHandle> {
    const { handle, bytes, modifiedMs } = await openRegularFile(this.path);
    try {
      this.#assertSame(bytes, modifiedMs);
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async #look(handle: FileHandle): Promise<void> {
    this.#lookedAt = performance.now();
    const { size, mtimeMs } = await handle.stat();
    this.#assertSame(size, mtimeMs);
  }

  #assertSame(bytes: number, modifiedMs: number): void {
    if (bytes === this.bytes && modifiedMs === this.modifiedMs) return;
    const change =
      bytes === this.bytes
        ? 'was changed since it was opened'
        : `has ${bytes} bytes, ${this.bytes} when it was opened`;
    throw new CheckpointError('CHECKPOINT_IO_FAILED', `${this.path} ${change}`);
  }
}
