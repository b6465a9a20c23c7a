import { at } from '@emloc/checked';
import { createRandom } from '@emloc/dataset';

/** Choices of one case: the same for the same seed and name. */
export interface Dice {
  /** A whole number from 0, below `count`. */
  below(count: number): number;
  chance(probability: number): boolean;
  pick<T>(choices: readonly T[]): T;
}

export function createDice(seed: number, name: string): Dice {
  const random = createRandom(seed, name);
  const below = (count: number): number => Math.floor(random.nextFloat() * count);
  return {
    below,
    chance: (probability) => random.nextFloat() < probability,
    pick: (choices) => at(choices, below(choices.length)),
  };
}
