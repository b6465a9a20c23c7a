import type { EncodedRow } from '../encoded-row.js';
import type { EncodedText } from '../masks/encoded-text.js';
import type { DatasetRow, RowContent } from './dataset-row.js';
import type { RowSet } from './row-sets.js';

/** Columns that hold the text of a row: `conversations` are messages. */
type RowFormat = 'messages' | 'completion' | 'instruction' | 'text';

/** What became of the rows of a file. */
export interface DatasetReport {
  /** Rows of the file that were looked at, blank lines apart. */
  readonly sourceRows: number;
  /** Rows that can be trained on: those of the file, some of them in several parts. */
  readonly rows: number;
  /** Rows of the file that became one row for each turn that is learned. */
  readonly partedRows: number;
  /** Of `rows`: those that were cut to the maximum length. */
  readonly truncatedRows: number;
  /** Rows (or parts) left out, because no trained-on token lies within the maximum length. */
  readonly droppedRows: number;
  /** Rows of the file in which the template leaves out text that the assistant wrote. */
  readonly lostTextRows: number;
  /** Tokens of `rows`, after cutting. */
  readonly tokens: number;
  /** Of `tokens`: those that are trained on. */
  readonly trainedTokens: number;
  /** Tokens that cutting and dropping lost. */
  readonly lostTokens: number;
  /** Tokens of the longest row of the file, before cutting. */
  readonly longestTokens: number;
  /** Rows of the file by the columns that hold their text. */
  readonly formats: Readonly<Record<RowFormat, number>>;
  /** Images of `rows`, and the tiles that they are cut into, thumbnails included. */
  readonly images: number;
  readonly tiles: number;
  /** Data sets of a list whose images it wants changed at random. */
  readonly augmentedSets: number;
  /** Columns that nothing reads, with the number of rows that have them; the first twenty. */
  readonly unusedColumns: Readonly<Record<string, number>>;
}

/** More column names than these are not kept. */
export const mostColumns = 20;

/** Texts that show images have become conversations, which still know their columns. */
function formatOf(content: RowContent): RowFormat {
  if (content.kind !== 'conversation') return content.kind;
  const field = content.fieldOf(0);
  if (field.startsWith('prompt')) return 'completion';
  return field.startsWith('instruction') ? 'instruction' : 'messages';
}

/** Counts while rows are read. */
export class DatasetCounts {
  sourceRows = 0;
  badRows = 0;
  #rows = 0;
  #partedRows = 0;
  #truncatedRows = 0;
  #droppedRows = 0;
  #lostTextRows = 0;
  #tokens = 0;
  #trainedTokens = 0;
  #lostTokens = 0;
  #longestTokens = 0;
  #images = 0;
  #tiles = 0;
  #augmentedSets = 0;
  readonly #formats: Record<RowFormat, number> = {
    messages: 0,
    completion: 0,
    instruction: 0,
    text: 0,
  };
  readonly #unusedColumns = new Map<string, number>();

  addSet({ isAugmented }: RowSet): void {
    if (isAugmented) this.#augmentedSets += 1;
  }

  addSource({ content, unusedColumns }: DatasetRow, texts: readonly EncodedText[]): void {
    this.#formats[formatOf(content)] += 1;
    if (texts.length > 1) this.#partedRows += 1;
    if (texts.some(({ isTextLost }) => isTextLost)) this.#lostTextRows += 1;
    for (const name of unusedColumns) {
      const count = this.#unusedColumns.get(name);
      if (count !== undefined || this.#unusedColumns.size < mostColumns)
        this.#unusedColumns.set(name, (count ?? 0) + 1);
    }
  }

  /**
   * @param tokens of the row before it was cut
   * @returns whether there is something to train on; else it counts as dropped
   */
  addRow({ ids, trained, isCut = false, images = [] }: EncodedRow, tokens: number): boolean {
    this.#longestTokens = Math.max(this.#longestTokens, tokens);
    const trainedTokens = trained.reduce((sum, flag) => sum + flag, 0);
    if (trainedTokens === 0) {
      this.#droppedRows += 1;
      this.#lostTokens += tokens;
      return false;
    }
    this.#rows += 1;
    this.#truncatedRows += isCut ? 1 : 0;
    this.#tokens += ids.length;
    this.#trainedTokens += trainedTokens;
    this.#images += images.length;
    this.#tiles += images.reduce((sum, { tiles }) => sum + tiles, 0);
    this.#lostTokens += tokens - ids.length;
    return true;
  }

  report(): DatasetReport {
    return {
      sourceRows: this.sourceRows,
      rows: this.#rows,
      partedRows: this.#partedRows,
      truncatedRows: this.#truncatedRows,
      droppedRows: this.#droppedRows,
      lostTextRows: this.#lostTextRows,
      tokens: this.#tokens,
      trainedTokens: this.#trainedTokens,
      lostTokens: this.#lostTokens,
      longestTokens: this.#longestTokens,
      images: this.#images,
      tiles: this.#tiles,
      augmentedSets: this.#augmentedSets,
      formats: { ...this.#formats },
      unusedColumns: Object.fromEntries(this.#unusedColumns),
    };
  }
}
