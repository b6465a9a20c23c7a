import { at } from '@emloc/checked';
import { createRandom, type Random } from '@emloc/dataset';
import type { StepBatches } from '@emloc/finetune';
import type { NoiseSchedule } from '@emloc/models';

import { latentRows, type LatentSize } from './latents.js';
import { levelIndex, levelShares, type NoiseScheme } from './noise-levels.js';

/** An image of a data set, as far as draws depend on it. */
export interface Picture {
  /** Number of its caption: images with the same one share it. */
  readonly caption: number;
  /** Of its latents. */
  readonly size: LatentSize;
  /** Whether it shows the class and not the subject: for prior preservation. */
  readonly isClass: boolean;
}

/** A sample of a loss: an image with noise. */
export interface Draw {
  /** Number of the picture. */
  readonly picture: number;
  /** Index of the noise level, 0 for pure noise. */
  readonly level: number;
  /** What the noise, and the draw from the image's distribution, come of. */
  readonly seed: number;
}

/** What draws of all kinds come of. */
export interface DrawInputs {
  readonly pictures: readonly Picture[];
  readonly seed: number;
  readonly scheme: NoiseScheme;
  readonly schedule: NoiseSchedule;
  /** Latent pixels along a side of a row's patch. */
  readonly patch: number;
}

export interface TrainingDrawInputs extends DrawInputs {
  /** Pictures that are trained on, by number; those of the class come beside. */
  readonly trained: readonly number[];
  readonly steps: number;
  /** Draws of trained pictures in a micro-batch. */
  readonly batchRows: number;
  /** Micro-batches of a step. */
  readonly accumulation: number;
}

/** Draws by number, made when they are asked for; a list is one. */
export interface Draws {
  readonly length: number;
  at(number: number): Draw | undefined;
}

export interface TrainingDraws {
  readonly draws: Draws;
  /** Numbers of draws. */
  readonly batches: StepBatches;
}

/** With so many pictures, some can be kept from training to score on. */
const picturesPerHeldOut = 8;

/**
 * Pictures to score on instead of training on them: one of each eight of the subject, none of
 * fewer.
 */
export function heldOutPictures(pictures: readonly Picture[], seed: number): readonly number[] {
  const subjects = numbersOf(pictures, { isClass: false });
  const count = Math.floor(subjects.length / picturesPerHeldOut);
  const order = createRandom(seed, 'held-out pictures').shuffle([...subjects]);
  return order.slice(0, count).sort((a, b) => a - b);
}

/** Numbers of the pictures of the subject, or of those of the class. */
export function numbersOf(
  pictures: readonly Picture[],
  { isClass }: Pick<Picture, 'isClass'>,
): readonly number[] {
  return [...pictures.keys()].filter((number) => at(pictures, number).isClass === isClass);
}

/**
 * The draws of a training run. Each depends on seed, step and row alone; pictures take turns, each
 * once in an order of its own per round. Where there are pictures of the class, every draw of the
 * subject has one of the class in the same micro-batch, behind all of the subject.
 */
export function trainingDraws(inputs: TrainingDrawInputs): TrainingDraws {
  const { pictures, trained, steps, batchRows, accumulation, seed } = inputs;
  const classes = numbersOf(pictures, { isClass: true });
  const subject = new Turns(trained, (round) => createRandom(seed, `pictures of round ${round}`));
  const prior = new Turns(classes, (round) => createRandom(seed, `class of round ${round}`));
  const width = classes.length > 0 ? 2 * batchRows : batchRows;
  const draw = (number: number): Draw => {
    const part = Math.floor(number / width);
    const isClass = number % width >= batchRows;
    const turn = part * batchRows + (number % batchRows);
    const step = Math.floor(part / accumulation);
    const name = `step ${step} row ${turn - step * accumulation * batchRows}`;
    return isClass
      ? drawOf(inputs, prior.picture(turn), createRandom(seed, `class draw of ${name}`))
      : drawOf(inputs, subject.picture(turn), createRandom(seed, `draw of ${name}`));
  };
  const length = steps * accumulation * width;
  const round = Math.ceil(Math.max(trained.length, classes.length) / (batchRows * accumulation));
  return {
    draws: { length, at: (number) => (number >= 0 && number < length ? draw(number) : undefined) },
    batches: {
      length: steps,
      covering: Math.min(steps, round),
      at: (step) => range(accumulation, (part) => rowsOf(step * accumulation + part)),
      microBatchesBefore: (step) => step * accumulation,
    },
  };

  function rowsOf(part: number): readonly number[] {
    return range(width, (row) => part * width + row);
  }
}

/**
 * Draws that stay the same all the time, for calibration or for scores: pictures take turns, noise
 * levels stand in the middles of equal shares of the scheme.
 * @param purpose another one gives other noise
 */
export function fixedDraws(
  inputs: DrawInputs & { readonly of: readonly number[]; readonly count: number },
  purpose: 'calibration' | 'validation',
): Draw[] {
  const { of, count, pictures, seed, scheme, schedule, patch } = inputs;
  return range(count, (index) => {
    const picture = at(of, index % of.length);
    const rows = latentRows(at(pictures, picture).size, { patch });
    return {
      picture,
      level: levelIndex((index + 0.5) / count, { scheme, schedule, rows }),
      seed: seedFrom(createRandom(seed, `${purpose} draw ${index}`)),
    };
  });
}

/** The share of a picture's draws that each noise level has, by its index. */
export function pictureLevelShares(
  { pictures, scheme, schedule, patch }: Omit<DrawInputs, 'seed'>,
  picture: number,
): Float64Array {
  const rows = latentRows(at(pictures, picture).size, { patch });
  return levelShares({ scheme, schedule, rows });
}

function drawOf(
  { pictures, scheme, schedule, patch }: DrawInputs,
  picture: number,
  random: Random,
): Draw {
  const rows = latentRows(at(pictures, picture).size, { patch });
  // Never 0, where a normal distribution has no quantile.
  const uniform = Math.max(random.nextFloat(), 2 ** -54);
  const level = levelIndex(uniform, { scheme, schedule, rows });
  return { picture, level, seed: seedFrom(random) };
}

function seedFrom(random: Random): number {
  return random.nextInt(2 ** 32);
}

const keptRounds = 64;

/** Members of a list in rounds, each round in an order of its own. */
class Turns {
  readonly #rounds = new Map<number, readonly number[]>();

  constructor(
    private readonly members: readonly number[],
    private readonly randomOf: (round: number) => Random,
  ) {}

  picture(turn: number): number {
    const round = Math.floor(turn / this.members.length);
    return at(this.#order(round), turn % this.members.length);
  }

  #order(round: number): readonly number[] {
    const known = this.#rounds.get(round);
    if (known) return known;
    const order = this.randomOf(round).shuffle([...this.members]);
    if (this.#rounds.size >= keptRounds) this.#rounds.clear();
    this.#rounds.set(round, order);
    return order;
  }
}

function range<T>(count: number, of: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => of(index));
}
