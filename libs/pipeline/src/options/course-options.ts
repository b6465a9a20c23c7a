import { job, modelled } from './commands.js';
import { integer, number, positiveUpTo } from './kinds.js';
import { mostCounted, mostLearningRate, mostSteps } from './limits.js';

/** What happens beside and after the main steps. */
export const courseOptions = Object.freeze({
  /** null: 10 % of the main steps. */
  refineSteps: integer({
    default: null,
    least: 0,
    most: mostSteps,
    flag: '--refine-steps <n>',
    help: 'steps on the original after the correction (default: 10 % of the steps)',
    commands: job,
    field: 'refine_steps',
    mostServed: 'maxSteps',
  }),
  /** null: half of `learningRate`. */
  refineLearningRate: number({
    default: null,
    range: positiveUpTo(mostLearningRate),
    flag: '--refine-lr <x>',
    help: 'their peak learning rate (default: half of --lr)',
    commands: job,
    field: 'refine_learning_rate',
  }),
  /** null: validation before and after training only, and the result is how it ended. */
  evalSteps: integer({
    default: null,
    least: 1,
    most: mostSteps,
    flag: '--eval-steps <n>',
    help: 'validate after every so many steps, too, and keep the best state (default: how training ended is kept)',
    commands: job,
    field: 'eval_steps',
    mostServed: 'maxSteps',
  }),
  /** null: all steps are made. */
  patience: integer({
    default: null,
    least: 1,
    most: mostSteps,
    flag: '--patience <n>',
    help: 'end training after so many validations of --eval-steps in a row that were not better than the best (default: all steps are made)',
    commands: job,
    field: 'patience',
  }),
  /** null: every gradient is the emulator's. */
  anchorSteps: integer({
    default: null,
    least: 1,
    most: mostSteps,
    flag: '--anchor-steps <n>',
    help: "every so many steps on an emulator take the gradient on the original, which corrects the emulator's until the next (default: never)",
    commands: job,
    field: 'anchor_steps',
    mostServed: 'maxSteps',
  }),
  /** null: 64, where `anchorSteps` is given. */
  anchorRows: integer({
    default: null,
    least: 1,
    most: mostCounted,
    flag: '--anchor-rows <n>',
    help: 'rows of such a gradient, at least those of a step (default: 64)',
    commands: job,
    field: 'anchor_rows',
  }),
  seed: integer({
    default: 0,
    least: 0,
    flag: '--seed <n>',
    help: 'decides everything random',
    helpIn: {
      eval: 'decides which draws of pictures are scored, and how pictures are cut',
      data: 'decides how pictures are cut',
    },
    commands: [...modelled, 'data'],
    field: 'seed',
  }),
});
