import { formatLevels, stepsOf, type Level } from '../options/levels.js';
import { mostCounted, mostSteps } from '../options/limits.js';

/**
 * Steps of each level, for one step of plain LoRA on the original, that come to its loss, the finer
 * emulator first. The first pair was measured once with PyTorch: a Llama of 16M parameters on
 * GSM8K, batches of 16, a learning rate of 2e-3 that restarts at each level. 300 plain steps come
 * to a loss of 1.719; 400 at 0.25, 200 at 0.5 and 60 on the original to 1.722, with 30 of four
 * times the rows to 1.737. The others come to what the first comes to on three models of
 * examples/math and on demo-5m, as far as seeds differ (docs/guide/choosing.md).
 */
const perPlainStep = Object.freeze({
  emulated: [
    [
      { ratio: 0.25, steps: 4 / 3 },
      { ratio: 0.5, steps: 2 / 3 },
    ],
    [
      { ratio: 0.25, steps: 4 / 3 },
      { ratio: 0.4, steps: 2 / 3 },
    ],
    [
      { ratio: 0.125, steps: 2 },
      { ratio: 0.25, steps: 4 / 3 },
    ],
  ],
  /** On the original, with the job's batches or with larger ones. */
  original: { usual: 1 / 5, large: 1 / 10 },
  largeBatches: 4,
});

/** Levels that equal so many steps on the original, as `--levels` would say them. */
export interface EqualLevels {
  /** With the job's batches all through. */
  readonly usual: string;
  /** With larger batches in the last level, each worth more of a pass over the weights, or null. */
  readonly large: string | null;
}

/**
 * Levels of about the quality of `plainSteps` on the original, those with the finest emulators
 * first: with the job's batches all through, and with four times the rows in the last level where
 * there are so many. Without those that would be more steps than a job may have.
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
  const largeBatch = batch * largeBatches;
  const hasLarge = largeBatch <= Math.min(rows, mostCounted);
  return emulated
    .map((pair) => {
      const below = pair.map(({ ratio, steps }) => levelOf(ratio, steps, null));
      return {
        usual: [...below, levelOf(1, original.usual, null)],
        large: hasLarge ? [...below, levelOf(1, original.large, largeBatch)] : null,
      };
    })
    .filter(({ usual }) => stepsOf(usual) <= mostSteps)
    .map(({ usual, large }) => ({
      usual: formatLevels(usual),
      large: large && formatLevels(large),
    }));
}
