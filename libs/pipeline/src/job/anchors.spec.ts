import { batchesOf, countMicroBatches, microBatches, type StepBatches } from '@emloc/finetune';

import { anchoredTraining } from './anchors.js';
import type { TrainingPlan } from './job.js';

/** Steps of two micro-batches of two rows each, whose rows are numbered through. */
function stepsOf(length: number): StepBatches {
  return Array.from({ length }, (_, step) => [
    [4 * step, 4 * step + 1],
    [4 * step + 2, 4 * step + 3],
  ]);
}

function planOf(
  length: number,
  options: { steps?: number | null; rows?: number | null; levels?: string | null } = {},
): TrainingPlan {
  const { steps = 3, rows = null, levels = null } = options;
  const schedule = { kind: 'cosine', learningRate: 1, steps: length, warmupRatio: 0 } as const;
  return anchoredTraining(
    { batches: stepsOf(length), schedule },
    { anchorSteps: steps, anchorRows: rows, levels },
    true,
  );
}

const rowsAt = ({ batches }: TrainingPlan, step: number): number[] =>
  batchesOf(batches, step).flat();

it('leaves a plan alone that asks for no anchors', () => {
  expect(planOf(4, { steps: null }).anchors).toBeUndefined();
});

it('has the first step of each level and every so manieth after it', () => {
  const anchorsIn = (plan: TrainingPlan): number[] =>
    Array.from({ length: plan.batches.length }, (_, step) => step).filter((step) =>
      plan.anchors?.isAnchor(step),
    );
  const one = planOf(8);
  expect(anchorsIn(one)).toEqual([0, 3, 6]);
  expect(one.anchors?.count).toBe(3);
  const three = planOf(8, { levels: '0.2:4,0.4:4,1:2' });
  expect(anchorsIn(three)).toEqual([0, 3, 4, 7]);
  expect(three.anchors?.count).toBe(4);
  expect(anchorsIn(planOf(3, { steps: 1 }))).toEqual([0, 1, 2]);
  expect(anchorsIn(planOf(3, { steps: 9 }))).toEqual([0]);
});

it('gives an anchor the rows of its step and of those after it, cut at the number', () => {
  const plan = planOf(9, { rows: 11 });
  expect(batchesOf(plan.batches, 3)).toEqual([
    [12, 13],
    [14, 15],
    [16, 17],
    [18, 19],
    [20, 21],
    [22],
  ]);
  expect(batchesOf(plan.batches, 4)).toEqual(batchesOf(stepsOf(9), 4));
});

it('takes steps before it near the end of a level, and no step twice', () => {
  const plan = planOf(8, { rows: 12, levels: '0.2:4,0.4:4' });
  expect(rowsAt(plan, 3)).toEqual([12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7]);
  expect(rowsAt(plan, 4)).toEqual([16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27]);
});

it('has the rows of a level where these are fewer, and those of a step where these are more', () => {
  const all = planOf(3, { rows: 1000 });
  expect(new Set(rowsAt(all, 0))).toEqual(new Set(Array.from({ length: 12 }, (_, row) => row)));
  expect(rowsAt(all, 0)).toHaveLength(12);
  expect(rowsAt(planOf(3, { rows: 1 }), 0)).toEqual([0, 1, 2, 3]);
  // 64 where nothing is said.
  expect(rowsAt(planOf(100), 0)).toHaveLength(64);
});

it('counts its micro-batches', () => {
  for (const plan of [planOf(8, { rows: 11 }), planOf(9, { rows: 7, levels: '0.2:4,0.4:5' })])
    for (let step = 0; step <= plan.batches.length; step += 1)
      expect(countMicroBatches(plan.batches, step)).toBe(
        [...microBatches(plan.batches, step)].length,
      );
});

it('refuses anchors where nothing is emulated', () => {
  const plan = planOf(3, { steps: null });
  const options = { anchorSteps: 2, anchorRows: null, levels: null };
  expect(() => anchoredTraining(plan, options, false)).toThrow(
    expect.objectContaining({
      code: 'PIPELINE_INVALID_OPTION',
      message: expect.stringContaining('anchorSteps') as string,
    }),
  );
});
