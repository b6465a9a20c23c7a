import { join } from 'node:path';
import { allDone, at, get } from '@emloc/checked';
import { assertFinite, isFloat, type Checkpoint } from '@emloc/checkpoint';
import { bytesPerElement, type HostArray, type HostDType } from '@emloc/device';

import type { HostTable } from './layout.js';

/** Reads rows of tables that stay on the host. */
export interface TableReader {
  /** (entries, width) of a table, in the dtype that it has in the checkpoint. */
  read(table: HostTable, entries: Int32Array): Promise<HostArray>;
}

/** Reads that are under way at once. */
const concurrentReads = 32;

/**
 * Reads rows from a checkpoint's file, each once however often it is asked for; no other part of
 * a table is ever in memory.
 * @throws (when read) CheckpointError CHECKPOINT_NOT_FINITE for a row with a NaN or an infinity
 */
export function checkpointTables(checkpoint: Checkpoint): TableReader {
  return { read: (table, entries) => new RowsRead(checkpoint, table, entries).read() };
}

class RowsRead {
  readonly #rowBytes: number;
  readonly #bytes: Uint8Array;
  /** By entry: where its row goes. */
  readonly #places = new Map<number, number[]>();

  constructor(
    private readonly checkpoint: Checkpoint,
    private readonly table: HostTable,
    entries: Int32Array,
  ) {
    this.#rowBytes = table.width * bytesPerElement[this.#dtype];
    this.#bytes = new Uint8Array(entries.length * this.#rowBytes);
    for (const [row, entry] of entries.entries())
      this.#places.set(entry, [...(this.#places.get(entry) ?? []), row]);
  }

  async read(): Promise<HostArray> {
    const waiting = [...this.#places.keys()].sort((a, b) => a - b);
    const readNext = async (): Promise<void> => {
      for (let entry = waiting.shift(); entry !== undefined; entry = waiting.shift())
        await this.#readRow(entry);
    };
    const workers = Array.from({ length: Math.min(concurrentReads, waiting.length) }, readNext);
    await allDone(workers);
    return { bytes: this.#bytes, dtype: this.#dtype };
  }

  async #readRow(entry: number): Promise<void> {
    const { folder, tensors } = this.checkpoint;
    const { checkpointName: name } = this.table;
    const places = get(this.#places, entry);
    const row = this.#rowAt(at(places, 0));
    await this.checkpoint.readRows(name, entry, entry + 1, row);
    const dtype = this.#dtype;
    if (isFloat(dtype))
      assertFinite(row, dtype, { name, file: join(folder, get(tensors, name).file) });
    for (const place of places.slice(1)) this.#rowAt(place).set(row);
  }

  get #dtype(): HostDType {
    return get(this.checkpoint.tensors, this.table.checkpointName).dtype as HostDType;
  }

  #rowAt(place: number): Uint8Array {
    return this.#bytes.subarray(place * this.#rowBytes, (place + 1) * this.#rowBytes);
  }
}
