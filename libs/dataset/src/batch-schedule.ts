import type { EncodedRow } from './encoded-row.js';
import { DatasetError } from './errors.js';
import { createRandom } from './random.js';
import { sourcesOf } from './sources.js';

export interface BatchScheduleOptions {
  /** At least one. Parts of a row of the file follow each other in an epoch. */
  readonly rows: readonly Pick<EncodedRow, 'line' | 'part'>[];
  /** Rows per micro-batch. */
  readonly batchSize: number;
  /** Micro-batches per step. */
  readonly gradientAccumulation: number;
  /**
   * How often every row is seen; a fraction ends inside an epoch. Not used where `steps` is given.
   */
  readonly epochs: number;
  /** Overrides `epochs`. */
  readonly steps?: number;
  readonly seed: number;
}

/**
 * Row indices per micro-batch per optimizer step. Each epoch visits every row once, in an order of
 * its own that the seed decides; a batch never crosses from one epoch into the next, so an epoch's
 * last step may be smaller.
 * @throws DatasetError DATASET_INVALID_OPTION
 */
export function batchSchedule(options: BatchScheduleOptions): number[][][] {
  assertPositive(options);
  const { rows, batchSize, gradientAccumulation, epochs, seed } = options;
  const sources = sourcesOf(rows);
  const stepsPerEpoch = Math.ceil(rows.length / (batchSize * gradientAccumulation));
  const steps = options.steps ?? Math.ceil(epochs * stepsPerEpoch);
  const schedule: number[][][] = [];
  for (let epoch = 0; schedule.length < steps; epoch += 1) {
    const order = createRandom(seed, `order of epoch ${epoch}`)
      .shuffle([...sources])
      .flat();
    const ofEpoch = chunksOf(chunksOf(order, batchSize), gradientAccumulation);
    for (const step of ofEpoch.slice(0, steps - schedule.length)) schedule.push(step);
  }
  return schedule;
}

function assertPositive(options: BatchScheduleOptions): void {
  const { batchSize, gradientAccumulation, steps = 1 } = options;
  const counts = { rows: options.rows.length, batchSize, gradientAccumulation, steps };
  for (const [name, value] of Object.entries(counts)) {
    if (!Number.isInteger(value) || value < 1)
      throw new DatasetError(
        'DATASET_INVALID_OPTION',
        `batch schedule: ${name} is ${value}, at least 1 is needed`,
      );
  }
  if (!(options.epochs > 0 && Number.isFinite(options.epochs))) {
    throw new DatasetError(
      'DATASET_INVALID_OPTION',
      `batch schedule: epochs is ${options.epochs}, more than 0 is needed`,
    );
  }
}

function chunksOf<T>(values: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(values.length / size) }, (_, chunk) =>
    values.slice(chunk * size, (chunk + 1) * size),
  );
}
