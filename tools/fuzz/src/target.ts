import type { Dice } from './dice.js';

/** A kind of input of strangers. */
export interface Target {
  /** What every refusal names. */
  readonly place: RegExp;
  /**
   * Makes an input and has it read.
   * @throws what the product refuses it with
   */
  run(dice: Dice): Promise<void>;
}

/** Where targets work. */
export interface Workplace {
  /** The clone. */
  readonly root: string;
  /** Of this thread alone; exists and is empty at first. */
  readonly folder: string;
}

export type OpenTarget = (place: Workplace) => Promise<Target>;
