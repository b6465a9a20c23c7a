import { PatternError } from './node.js';
import { type CodePointSet } from './unicode/code-point-set.js';

const codePoints = 0x110000;
const setsPerTable = 32;
/** A table takes 4.25 MiB. */
const maxSets = 32 * setsPerTable;

/**
 * Many sets, of one pattern or of several, each asked for by its number in constant time: one bit
 * of a table of all characters.
 */
export class PatternSets {
  readonly #tables: Uint32Array[] = [];
  readonly #numbers = new Map<string, number>();

  /**
   * The number of a set; the same for an equal set.
   * @throws PatternError where there would be too many
   */
  add(set: CodePointSet): number {
    const key = set.ranges.join();
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.#numbers.size;
    if (number >= maxSets)
      throw new PatternError(`there are more than ${maxSets} different sets of characters`);
    this.#numbers.set(key, number);
    const table = (this.#tables[number >> 5] ??= new Uint32Array(codePoints));
    const bit = 1 << (number & (setsPerTable - 1));
    for (const [first, last] of set.pairs)
      for (let c = first; c <= last; c += 1) table[c] = (table[c] as number) | bit;
    return number;
  }

  tableOf(number: number): Uint32Array {
    const table = this.#tables[number >> 5];
    if (!table) throw new Error(`no set has the number ${number}`);
    return table;
  }

  bitOf(number: number): number {
    return 1 << (number & (setsPerTable - 1));
  }
}
