import type { HostArray } from '@emloc/device';
import type { HostTable, ModelLayout, TableReader, ValueShape } from '@emloc/models';

/** What texts bring of tables that stay on the host, by stream. */
type LookedUp = ReadonlyMap<string, HostArray>;

/** The tables that a model's tokens are looked up in, on the host. */
export class TextTables {
  /** By stream. */
  readonly shapes: ReadonlyMap<string, ValueShape>;
  readonly #tables: readonly HostTable[];
  /** What rows of sizes alone are, for all of them. */
  #zeros = new Uint8Array();

  /** @param reader null: rows are nothing but sizes, for planning */
  constructor(
    { tables }: Pick<ModelLayout, 'tables'>,
    private readonly reader: TableReader | null,
  ) {
    this.#tables = tables;
    this.shapes = new Map(tables.map(({ stream, rows, width }) => [stream, { rows, width }]));
  }

  /** The rows of these tokens, of the streams that are wanted. */
  async lookUp(ids: Int32Array, isWanted: (stream: string) => boolean): Promise<LookedUp> {
    const wanted = this.#tables.filter(({ stream }) => isWanted(stream));
    const rows = wanted.map(async (table) => [table.stream, await this.#read(table, ids)] as const);
    return new Map(await Promise.all(rows));
  }

  #read(table: HostTable, ids: Int32Array): HostArray | Promise<HostArray> {
    if (this.reader) return this.reader.read(table, ids);
    return { bytes: this.#blank(2 * table.width * ids.length), dtype: 'bfloat16' };
  }

  #blank(bytes: number): Uint8Array {
    if (bytes > this.#zeros.byteLength) this.#zeros = new Uint8Array(bytes);
    return this.#zeros.subarray(0, bytes);
  }
}
