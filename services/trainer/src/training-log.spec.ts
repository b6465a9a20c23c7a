import type { EngineEvent } from '@emloc/stage';

import { TrainingLog } from './training-log.js';

const step = (number: number): EngineEvent => ({
  ...{ type: 'step', stage: 'train', level: 1, step: number, steps: 9, loss: 1 },
  ...{ learningRate: 1e-3, gradientNorm: 2, tokens: 30, seconds: 2 },
  ...{ deviceBytes: 5, peakDeviceBytes: 8, budgetBytes: 10, stallSeconds: 0.5, anchor: false },
});

const begun = (number: number): EngineEvent => ({
  ...{ type: 'begun', stage: 'train', step: number, level: 1, validated: [] },
});

test('an attempt that goes on from a state has the lines up to it, and each step once', () => {
  const first = new TrainingLog();
  for (const told of [begun(0), step(1), step(2)]) first.observe(told);
  const state = first.within({ tensors: [], attributes: { step: '2' } });
  expect(state.attributes['step']).toBe('2');
  first.observe(step(3));
  const second = new TrainingLog();
  second.restore(state);
  for (const told of [begun(2), step(3)]) second.observe(told);
  second.observe({ type: 'notice', message: 'secret' });
  second.observe({ type: 'stage', stage: 'train', state: 'started' });
  const lines = second.within({ tensors: [], attributes: {} }).attributes['log'] ?? '';
  expect(
    lines
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { event: string; step: number })
      .map(({ event, step: number }) => `${event} ${number}`),
  ).toEqual(['step 1', 'step 2', 'resumed 2', 'step 3']);
});
