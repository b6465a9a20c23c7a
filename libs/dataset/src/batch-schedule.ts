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

/** Micro-batches of one optimizer step, each as row indices. */
type StepRows = readonly (readonly number[])[];

/** Row indices per micro-batch per optimizer step, of which an epoch or two are there at a time. */
interface BatchSchedule {
  /** Optimizer steps. */
  readonly length: number;
  /** Steps that visit every row that any step does: those of the first epoch. */
  readonly covering: number;
  at(step: number): StepRows | undefined;
  /** Micro-batches of the steps before this one. */
  microBatchesBefore(step: number): number;
}

/**
 * The batches of a run. Each epoch visits every row once, in an order of its own that the seed
 * decides; a batch never crosses from one epoch into the next, so an epoch's last step may be
 * smaller.
 * @throws DatasetError DATASET_INVALID_OPTION
 */
export function batchSchedule(options: BatchScheduleOptions): BatchSchedule {
  assertPositive(options);
  return new EpochBatches(options);
}

/** The one that is trained on, and the next, whose first batch is loaded ahead. */
const keptEpochs = 2;

class EpochBatches implements BatchSchedule {
  readonly length: number;
  readonly covering: number;
  readonly #stepsPerEpoch: number;
  readonly #sources: readonly (readonly number[])[];
  readonly #epochs = new Map<number, readonly StepRows[]>();

  constructor(private readonly options: BatchScheduleOptions) {
    const { rows, batchSize, gradientAccumulation, epochs, steps } = options;
    this.#sources = sourcesOf(rows);
    this.#stepsPerEpoch = Math.ceil(rows.length / (batchSize * gradientAccumulation));
    this.length = steps ?? Math.ceil(epochs * this.#stepsPerEpoch);
    this.covering = Math.min(this.length, this.#stepsPerEpoch);
  }

  at(step: number): StepRows | undefined {
    if (!(step >= 0 && step < this.length)) return undefined;
    return this.#epoch(Math.floor(step / this.#stepsPerEpoch))[step % this.#stepsPerEpoch];
  }

  microBatchesBefore(step: number): number {
    const { rows, batchSize, gradientAccumulation } = this.options;
    const perEpoch = Math.ceil(rows.length / batchSize);
    const inEpoch = (step % this.#stepsPerEpoch) * gradientAccumulation;
    return Math.floor(step / this.#stepsPerEpoch) * perEpoch + Math.min(perEpoch, inEpoch);
  }

  #epoch(epoch: number): readonly StepRows[] {
    const known = this.#epochs.get(epoch);
    if (known) return known;
    const { batchSize, gradientAccumulation, seed } = this.options;
    const order = createRandom(seed, `order of epoch ${epoch}`)
      .shuffle([...this.#sources])
      .flat();
    const made = chunksOf(chunksOf(order, batchSize), gradientAccumulation);
    for (const old of [...this.#epochs.keys()].slice(0, -(keptEpochs - 1)))
      this.#epochs.delete(old);
    this.#epochs.set(epoch, made);
    return made;
  }
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
