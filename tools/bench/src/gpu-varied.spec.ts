import { at, required } from '@emloc/checked';
import { cudaProfile } from '@emloc/device-cuda';
import { createNullBackend } from '@emloc/device-null';
import { launchBoundTokens, roundedShape } from '@emloc/finetune';
import { textSizeOf } from '@emloc/models';

import { syntheticModel } from './gpu-model.js';
import { planTraining, runTraining } from './gpu-training.js';
import { heaviestSteps, variedTask } from './gpu-varied.js';

const profile = cudaProfile();

function taskOf(ratio: number, blocks?: number) {
  const model = syntheticModel({ shape: 'qwen2.5-7b', ratio, profile, blocks });
  const { layout, emulator: source } = model;
  const ranks = new Map(layout.linears.map((linear) => [linear.path, model.rankOf(linear)]));
  const rankOf = (path: string): number | null => ranks.get(path) ?? null;
  const sizes = { loraRank: 8, sequences: 8, sequenceLength: 1, steps: 60 };
  return variedTask({ layout, source, rankOf, ...sizes });
}

test.each([
  [0.25, 1551],
  [0.4, 1070],
])('at ratio %f steps of a 7.6B shape are bound by launches up to %i tokens', (ratio, tokens) => {
  const { layout, rankOf } = taskOf(ratio);
  const found = launchBoundTokens({ layout, profile, rankOf });
  expect(found).toBe(tokens);
});

test('steps have about 600 tokens, no two the same lengths, and come to few sizes', () => {
  const { rows, batches = [], layout, rankOf } = taskOf(0.25);
  const source = required(rows, 'rows');
  const shapes = batches.map((batch) => source.shape(at(batch, 0)));
  const tokens = shapes.map(({ items }) => items);
  expect(shapes).toHaveLength(60);
  expect(tokens.reduce((sum, count) => sum + count, 0) / 60).toBeCloseTo(600, -2);
  expect(new Set(shapes.map(({ layouts }) => [...layouts.values()].join())).size).toBe(60);
  const limit = launchBoundTokens({ layout, profile, rankOf });
  const sizes = shapes.map((shape) => {
    const { padded, ...rest } = roundedShape(shape, limit);
    return JSON.stringify({ ...textSizeOf(rest), ...required(padded, 'padding') });
  });
  expect(new Set(sizes).size).toBeLessThan(16);
});

test('what is planned for the heaviest steps is what all of them take', async () => {
  const varied = taskOf(0.25, 2);
  const task = { ...varied, budgetBytes: Number.POSITIVE_INFINITY };
  const heaviest = heaviestSteps(varied, profile);
  expect(heaviest.length).toBeLessThan(7);
  const memory = await planTraining({ ...task, heaviest }, profile);
  const peakOf = async (steps: typeof heaviest): Promise<number> => {
    const run = { ...task, batches: steps, steps: steps.length };
    const options = { memory, reads: 'none' } as const;
    return (await runTraining(run, createNullBackend(profile), options)).budgetPeakBytes;
  };
  expect(await peakOf(required(task.batches, 'steps'))).toBe(await peakOf(heaviest));
});
