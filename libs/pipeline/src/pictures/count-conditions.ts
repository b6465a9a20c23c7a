import { at } from '@emloc/checked';
import { ConditionSet, type Condition, type Picture } from '@emloc/tasks';

/** Training draws that are not looked at one by one. */
export interface ManyDraws {
  readonly pictures: readonly Picture[];
  /** How many draws a picture is expected to have, by its number. */
  readonly drawsOf: ReadonlyMap<number, number>;
  /** The share of a picture's draws that each noise level has, by its index. */
  levelShares(picture: number): Float64Array;
  /** What the modulation of a draw of the picture at a level, by its index, depends on. */
  conditionOf(picture: number, level: number): Condition;
}

/**
 * How many conditions are expected beside those that are there: each caption with each noise level,
 * with the chance that a draw has both, 1 − Π (1 − share)^draws over the caption's pictures.
 */
export function expectedConditions(known: readonly Condition[], draws: ManyDraws): number {
  const { pictures, drawsOf, levelShares, conditionOf } = draws;
  const isThere = new ConditionSet(known);
  const ofSize = new Map<string, Float64Array>();
  const sharesOf = (picture: number): Float64Array => {
    const { height, width } = at(pictures, picture).size;
    const size = `${height} ${width}`;
    const shares = ofSize.get(size) ?? levelShares(picture);
    ofSize.set(size, shares);
    return shares;
  };
  const byCaption = new Map<number, [picture: number, draws: number][]>();
  for (const entry of drawsOf) {
    const { caption } = at(pictures, entry[0]);
    byCaption.set(caption, [...(byCaption.get(caption) ?? []), entry]);
  }
  let expected = 0;
  for (const members of byCaption.values()) {
    const missed = missedChances(members.map(([picture, count]) => [sharesOf(picture), count]));
    for (const [level, chance] of missed.entries())
      if (chance < 1 && !isThere.has(conditionOf(at(members, 0)[0], level))) expected += 1 - chance;
  }
  return expected;
}

/** Chances that none of these draws has a level, by its index. */
function missedChances(all: readonly (readonly [Float64Array, number])[]): Float64Array {
  return at(all, 0)[0].map((_, level) =>
    Math.exp(all.reduce((sum, [shares, draws]) => sum + draws * Math.log1p(-at(shares, level)), 0)),
  );
}
