import { createHash, type Hash } from 'node:crypto';

import type { EncodedRow, RowImage } from '../encoded-row.js';
import type { RowOutcome } from '../rows/read-dataset.js';
import { LengthHistogram, type RowLengths } from './length-histogram.js';
import { RowHashes, type RepeatedRows, type RowNumber } from './repeated-rows.js';

/** What rows look like together. */
export interface RowSurvey {
  /** Of all rows (or their parts), those that are dropped too, before they are cut. */
  readonly lengths: RowLengths;
  /** Of the rows that are trained on: those with the tokens, masks and images of an earlier one. */
  readonly duplicates: RepeatedRows;
}

interface OpenRow extends RowNumber {
  readonly hash: Hash;
}

interface Place {
  readonly file: number | undefined;
  readonly set: number | undefined;
  readonly line: number;
}

/** Looks at rows as they come, in the order of their file. Keeps nothing of their text. */
export class RowSurveyor {
  readonly #lengths = new LengthHistogram();
  readonly #hashes = new RowHashes();
  /** The parts of a row follow each other, and are one row. */
  #open: OpenRow | null = null;

  /** @param file 1-based, of several that are read one after another */
  add(outcome: RowOutcome, file?: number): void {
    if (outcome.kind === 'bad') return;
    this.#lengths.add(outcome.tokens);
    if (outcome.kind === 'row') this.#hash(outcome.row, file);
  }

  survey(): RowSurvey {
    this.#close();
    return { lengths: this.#lengths.lengths(), duplicates: this.#hashes.repeated() };
  }

  #hash({ ids, trained, images = [], line, set, part = 1 }: EncodedRow, file?: number): void {
    const { hash } = this.#openAt({ line, set, file }, part);
    hash.update(`${ids.length} ${images.length}\n`).update(ids).update(trained);
    for (const image of images) hashImage(hash, image);
  }

  #openAt({ line, set, file }: Place, part: number): OpenRow {
    const open = this.#open;
    const isOpen = open?.line === line && open.set === set && open.file === file;
    if (open && isOpen && part > 1) return open;
    this.#close();
    const number = {
      ...(file === undefined ? {} : { file }),
      ...(set === undefined ? {} : { set }),
      line,
    };
    return (this.#open = { ...number, hash: createHash('sha256') });
  }

  #close(): void {
    if (this.#open) this.#hashes.add(this.#open.hash.digest(), this.#open);
    this.#open = null;
  }
}

/** Files are told apart by their paths: they are not opened for this. */
function hashImage(hash: Hash, { input }: RowImage): void {
  hash.update(`${input.kind}\n`);
  if (input.kind === 'file') hash.update(`${JSON.stringify(input.path)}\n`);
  else hash.update(`${input.bytes.length}\n`).update(input.bytes);
}
