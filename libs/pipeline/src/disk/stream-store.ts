import { createHash } from 'node:crypto';
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { get } from '@emloc/checked';
import type { HostArray, HostDType } from '@emloc/device';
import type { FrontStore } from '@emloc/finetune';
import { readRegularFile } from '@emloc/untrusted';

export interface StreamStoreOptions {
  /** May have rows of an earlier run of the same job. */
  readonly folder: string;
  /** What a row's streams depend on: equal for equal streams. */
  readonly keyOf: (row: number) => Promise<string> | string;
  /** Bytes of each stream of a row. */
  readonly bytesOf: (row: number) => ReadonlyMap<string, number>;
  readonly dtype: HostDType;
}

/** Rows that were read last stay in memory, of this size together. */
const heldBytes = 2 ** 26;

/** What was made of rows, a file a row, with its streams one after another. */
export class StreamStore implements FrontStore {
  readonly #parts = new Map<number, Map<string, Uint8Array>>();
  readonly #held = new Map<number, Promise<Uint8Array>>();
  #heldBytes = 0;

  constructor(private readonly options: StreamStoreOptions) {}

  /** Those of the rows that are not there yet, in their order. */
  async missing(rows: readonly number[]): Promise<readonly number[]> {
    await mkdir(this.options.folder, { recursive: true });
    const missing: number[] = [];
    for (const row of rows) if (!(await this.#isThere(row))) missing.push(row);
    return missing;
  }

  async put(row: number, stream: string, bytes: Uint8Array): Promise<void> {
    const streams = this.options.bytesOf(row);
    const parts = this.#parts.get(row) ?? new Map<string, Uint8Array>();
    this.#parts.set(row, parts.set(stream, bytes.slice()));
    if (parts.size < streams.size) return;
    this.#parts.delete(row);
    const path = await this.#path(row);
    // Whole or not at all after a kill. Not synced: there may be thousands, and what a power
    // failure cuts is of another size.
    await rm(`${path}.tmp`, { force: true });
    await writeFile(
      `${path}.tmp`,
      Buffer.concat([...streams.keys()].map((name) => get(parts, name))),
      { flag: 'wx' },
    );
    await rename(`${path}.tmp`, path);
  }

  /** (rows, width) of a stream of a row. */
  async read(row: number, stream: string): Promise<HostArray> {
    const bytes = await this.#whole(row);
    let start = 0;
    for (const [name, length] of this.options.bytesOf(row)) {
      if (name === stream)
        return { bytes: bytes.subarray(start, start + length), dtype: this.options.dtype };
      start += length;
    }
    throw new RangeError(`row ${row} has no stream ${stream}`);
  }

  #whole(row: number): Promise<Uint8Array> {
    const known = this.#held.get(row);
    if (known) return known;
    const bytes = this.#path(row).then((path) =>
      readRegularFile(path, sizeOf(this.options.bytesOf(row))),
    );
    this.#hold(row, bytes);
    // What could not be read is read again.
    bytes.catch(() => {
      if (this.#held.get(row) === bytes) this.#letGo(row);
    });
    return bytes;
  }

  #hold(row: number, bytes: Promise<Uint8Array>): void {
    this.#held.set(row, bytes);
    this.#heldBytes += sizeOf(this.options.bytesOf(row));
    for (const old of this.#held.keys()) {
      if (this.#heldBytes <= heldBytes || old === row) break;
      this.#letGo(old);
    }
  }

  #letGo(row: number): void {
    this.#held.delete(row);
    this.#heldBytes -= sizeOf(this.options.bytesOf(row));
  }

  async #isThere(row: number): Promise<boolean> {
    const found = await stat(await this.#path(row)).catch(() => null);
    return found?.isFile() === true && found.size === sizeOf(this.options.bytesOf(row));
  }

  async #path(row: number): Promise<string> {
    const { folder, keyOf, dtype } = this.options;
    const key = JSON.stringify([await keyOf(row), dtype]);
    return join(folder, createHash('sha256').update(key).digest('hex').slice(0, 40));
  }
}

function sizeOf(streams: ReadonlyMap<string, number>): number {
  return [...streams.values()].reduce((sum, bytes) => sum + bytes, 0);
}
