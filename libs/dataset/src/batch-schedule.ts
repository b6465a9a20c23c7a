import { createBatches, type Batches, type BatchesOptions } from './batches.js';
import { chunksOf } from './chunks-of.js';
import { DatasetError } from './errors.js';

export interface BatchScheduleOptions extends BatchesOptions {
  /** Micro-batches per step. */
  readonly gradientAccumulation: number;
  /** How many epochs there are; a fraction ends inside one. Not used where `steps` is given. */
  readonly epochs: number;
  /** Overrides `epochs`. */
  readonly steps?: number;
}

/** Micro-batches of one optimizer step, each as row indices. */
type StepRows = readonly (readonly number[])[];

/** Row indices per micro-batch per optimizer step, of which an epoch or two are there at a time. */
interface BatchSchedule {
  /** Optimizer steps. */
  readonly length: number;
  /** Steps that visit every row that any step does: those of the first epoch. */
  readonly covering: number;
  /** Whether every batch of a later epoch has rows of the sizes of one of the first. */
  readonly repeatsShapes: boolean;
  at(step: number): StepRows | undefined;
  /** Micro-batches of the steps before this one. */
  microBatchesBefore(step: number): number;
}

/**
 * The batches of a run. Each epoch visits every row, as often as it repeats, in an order of its own
 * that the seed decides; a batch never crosses from one epoch into the next, so an epoch's last
 * step may be smaller. All epochs have equally many batches, of rows of the same sizes where tokens
 * decide.
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
  readonly repeatsShapes: boolean;
  readonly #stepsPerEpoch: number;
  readonly #batches: Batches;
  readonly #epochs = new Map<number, readonly StepRows[]>();

  constructor(private readonly options: BatchScheduleOptions) {
    const { gradientAccumulation, epochs, steps } = options;
    this.#batches = createBatches(options);
    this.repeatsShapes = 'tokens' in options.batchSize;
    this.#stepsPerEpoch = Math.ceil(this.#batches.perEpoch / gradientAccumulation);
    this.length = steps ?? Math.ceil(epochs * this.#stepsPerEpoch);
    this.covering = Math.min(this.length, this.#stepsPerEpoch);
  }

  at(step: number): StepRows | undefined {
    if (!(step >= 0 && step < this.length)) return undefined;
    return this.#epoch(Math.floor(step / this.#stepsPerEpoch))[step % this.#stepsPerEpoch];
  }

  microBatchesBefore(step: number): number {
    const { perEpoch } = this.#batches;
    const inEpoch = (step % this.#stepsPerEpoch) * this.options.gradientAccumulation;
    return Math.floor(step / this.#stepsPerEpoch) * perEpoch + Math.min(perEpoch, inEpoch);
  }

  #epoch(epoch: number): readonly StepRows[] {
    const known = this.#epochs.get(epoch);
    if (known) return known;
    const made = chunksOf(this.#batches.ofEpoch(epoch), this.options.gradientAccumulation);
    for (const old of [...this.#epochs.keys()].slice(0, -(keptEpochs - 1)))
      this.#epochs.delete(old);
    this.#epochs.set(epoch, made);
    return made;
  }
}

function assertPositive(options: BatchScheduleOptions): void {
  const { batchSize, gradientAccumulation, steps = 1 } = options;
  const size =
    'rows' in batchSize ? { batchSize: batchSize.rows } : { batchTokens: batchSize.tokens };
  const counts = { rows: options.rows.length, ...size, gradientAccumulation, steps };
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
