import { at } from '@emloc/checked';

/** Which row it is. */
export interface RowNumber {
  /** 1-based, of several files; absent where there is one. */
  readonly file?: number;
  /** 1-based data set that the file lists; absent for a file of rows. */
  readonly set?: number;
  /** 1-based line of its file, or element of its array. */
  readonly line: number;
}

/** Rows that are equal to an earlier one. */
export interface RepeatedRows {
  /** Rows beyond the first of each group of equal ones. */
  readonly rows: number;
  /** Groups of at least two equal rows. */
  readonly groups: number;
  /** The first groups, each with its first rows. */
  readonly examples: readonly (readonly RowNumber[])[];
}

/** Groups that are shown, and rows of each. */
const [mostGroups, mostOfGroup] = [5, 4];

/**
 * Finds equal rows by hashes of 8 bytes: of a million different rows, the chance that two are taken
 * for equal is 3e-8. A row takes 32 bytes of memory.
 */
export class RowHashes {
  #count = 0;
  #hashes = new BigUint64Array(1024);
  #lines = new Float64Array(1024);
  #sets = new Float64Array(1024);
  #files = new Float64Array(1024);

  /** @param hash its first 8 bytes are looked at */
  add(hash: Buffer, { line, set = 0, file = 0 }: RowNumber): void {
    if (this.#count === this.#hashes.length) this.#grow();
    this.#hashes[this.#count] = hash.readBigUInt64LE();
    this.#lines[this.#count] = line;
    this.#sets[this.#count] = set;
    this.#files[this.#count] = file;
    this.#count += 1;
  }

  repeated(): RepeatedRows {
    const { values, rows } = repeatedValues(this.#hashes.slice(0, this.#count).sort());
    return { rows, groups: values.length, examples: this.#examplesOf(values) };
  }

  /** Groups by their first row. @param values ascending */
  #examplesOf(values: BigUint64Array): RowNumber[][] {
    if (values.length === 0) return [];
    const groups = new Map<bigint, RowNumber[]>();
    for (let row = 0; row < this.#count; row += 1) {
      const hash = at(this.#hashes, row);
      const group = groups.get(hash);
      if (group && group.length < mostOfGroup) group.push(this.#numberOf(row));
      else if (!group && groups.size < mostGroups && has(values, hash))
        groups.set(hash, [this.#numberOf(row)]);
    }
    return [...groups.values()];
  }

  #numberOf(row: number): RowNumber {
    const [file, set] = [at(this.#files, row), at(this.#sets, row)];
    return {
      ...(file === 0 ? {} : { file }),
      ...(set === 0 ? {} : { set }),
      line: at(this.#lines, row),
    };
  }

  #grow(): void {
    const hashes = this.#hashes;
    this.#hashes = new BigUint64Array(2 * hashes.length);
    this.#hashes.set(hashes);
    this.#lines = grown(this.#lines);
    this.#sets = grown(this.#sets);
    this.#files = grown(this.#files);
  }
}

function grown(values: Float64Array): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(2 * values.length);
  larger.set(values);
  return larger;
}

/** What stands in ascending values more than once, each once, and how many stand behind these. */
function repeatedValues(sorted: BigUint64Array): {
  readonly values: BigUint64Array;
  readonly rows: number;
} {
  let [groups, rows] = [0, 0];
  const values = new BigUint64Array(Math.floor(sorted.length / 2));
  for (let i = 1; i < sorted.length; i += 1) {
    if (sorted[i] !== sorted[i - 1]) continue;
    rows += 1;
    if (i > 1 && sorted[i - 2] === sorted[i]) continue;
    values[groups] = at(sorted, i);
    groups += 1;
  }
  return { values: values.slice(0, groups), rows };
}

/** @param values ascending */
function has(values: BigUint64Array, value: bigint): boolean {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at(values, middle) < value) low = middle + 1;
    else high = middle;
  }
  return low < values.length && values[low] === value;
}
