import { type FileHandle, open } from 'node:fs/promises';
import { CheckpointError, fileError } from './errors.js';

/** More than this in one read is refused by some kernels. */
const maxReadBytes = 1 << 30;

/** A file that is read by ranges. Its handle opens at the first read; concurrent reads are allowed. */
export class RangedFile {
  #handle: Promise<FileHandle> | null = null;
  #closed = false;

  private constructor(
    readonly path: string,
    readonly bytes: number,
  ) {}

  /** @throws CheckpointError when there is no such regular file. */
  static async open(path: string): Promise<RangedFile> {
    try {
      const handle = await open(path, 'r');
      try {
        const stat = await handle.stat();
        if (!stat.isFile()) throw new CheckpointError('CHECKPOINT_INVALID_FILE', `${path} is not a regular file`);
        const file = new RangedFile(path, stat.size);
        file.#handle = Promise.resolve(handle);
        return file;
      } catch (error) {
        await handle.close();
        throw error;
      }
    } catch (error) {
      throw fileError(error, path);
    }
  }

  /** Fills `destination` from `position`. @throws CheckpointError when the file ends before. */
  async read(destination: Uint8Array, position: number): Promise<void> {
    try {
      const handle = await this.#open();
      let done = 0;
      while (done < destination.byteLength) {
        const length = Math.min(maxReadBytes, destination.byteLength - done);
        const { bytesRead } = await handle.read(destination, done, length, position + done);
        if (bytesRead === 0) throw new CheckpointError('CHECKPOINT_IO_FAILED', `${this.path} ends at byte ${position + done}: it was cut since it was opened`);
        done += bytesRead;
      }
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

  #open(): Promise<FileHandle> {
    if (this.#closed) return Promise.reject(new CheckpointError('CHECKPOINT_IO_FAILED', `${this.path} is closed`));
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
    const handle = await open(this.path, 'r');
    const { size } = await handle.stat();
    if (size === this.bytes) return handle;
    await handle.close();
    throw new CheckpointError('CHECKPOINT_IO_FAILED', `${this.path} has ${size} bytes, ${this.bytes} when it was opened`);
  }
}
