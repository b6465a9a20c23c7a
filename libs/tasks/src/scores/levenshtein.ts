import { at } from '@emloc/checked';

/** Fewest insertions, deletions and substitutions that make one list of characters the other. */
export function levenshtein(a: readonly string[], b: readonly string[]): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  a.forEach((character, row) => {
    const current = [row + 1];
    b.forEach((other, column) => {
      const substituted = at(previous, column) + (character === other ? 0 : 1);
      const inserted = at(current, column) + 1;
      const deleted = at(previous, column + 1) + 1;
      current.push(Math.min(substituted, inserted, deleted));
    });
    previous = current;
  });
  return at(previous, b.length);
}
