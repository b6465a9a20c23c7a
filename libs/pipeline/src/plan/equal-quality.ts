import { formatLevels, stepsOf, type Level } from '../options/levels.js';
import { mostCounted, mostSteps } from '../options/limits.js';

/**
 * Steps of each level, for one step of plain LoRA on the original, that come to its loss. Measured
 * once with PyTorch: a Llama of 16M parameters on GSM8K, batches of 16, a
 * learning rate of 2e-3 that restarts at each level. 300 plain steps come to a loss of 1.719; 400
 * at 0.25, 200 at 0.5 and 60 on the original to 1.722, with 30 of four times the rows to 1.737.
 * On the easier word problems of examples/math this program comes to less than the plain steps'.
 */
const perPlainStep = Object.freeze({
  emulated: [
    { ratio: 0.25, steps: 4 / 3 },
    { ratio: 0.5, steps: 2 / 3 },
  ],
  /** On the original, with the job's batches or with larger ones. */
  original: { usual: 1 / 5, large: 1 / 10 },
  largeBatches: 4,
});

/** Levels that equal so many steps on the original. */
interface EqualLevels {
  /** What `--levels` would say. */
  readonly levels: string;
  /** Whether the last level has batches of its own, each worth more of a pass over the weights. */
  readonly hasLargeBatches: boolean;
}

/**
 * Levels of about the quality of `plainSteps` on the original: with the job's batches all through,
 * and with four times the rows in the last level where there are so many. Empty: they would be
 * more steps than a job may have.
 * @param batch rows per micro-batch
 * @param rows that there are to train on
 */
export function equalLevels(
  plainSteps: number,
  { batch, rows }: { readonly batch: number; readonly rows: number },
): readonly EqualLevels[] {
  const { emulated, original, largeBatches } = perPlainStep;
  const levelOf = (ratio: number, share: number, own: number | null): Level => ({
    ...{ ratio, steps: Math.ceil(share * plainSteps), batch: own },
  });
  const below = emulated.map(({ ratio, steps }) => levelOf(ratio, steps, null));
  const largeBatch = batch * largeBatches;
  const all = [
    { levels: [...below, levelOf(1, original.usual, null)], hasLargeBatches: false },
    { levels: [...below, levelOf(1, original.large, largeBatch)], hasLargeBatches: true },
  ];
  return all
    .filter(({ levels }) => stepsOf(levels) <= mostSteps)
    .filter(({ hasLargeBatches: large }) => !large || largeBatch <= Math.min(rows, mostCounted))
    .map(({ levels, ...rest }) => ({ levels: formatLevels(levels), ...rest }));
}
