import { resolveTuneOptions } from '../options/resolve.js';
import type { JobOptions } from './job.js';
import { levelPlans } from './level-plans.js';

function rateOf(levels: string, given: Partial<JobOptions> = {}): number | undefined {
  const options = { ...resolveTuneOptions({ model: 'm', data: 'd', out: 'o' }), ...given };
  const { refinement } = levelPlans(
    levels,
    { ...options, batch: 16, learningRate: 1e-3, schedule: 'cosine', warmupRatio: 0 } as JobOptions,
    ({ steps }) => Array.from({ length: steps }, () => [[0]]),
  );
  return refinement?.schedule.learningRate;
}

describe('the rate of the last level', () => {
  it.each([
    ['0.25:2,1:1', 1e-3],
    ['0.25:2,1:1x16', 1e-3],
    ['0.25:2,1:1x64', 2e-3],
    ['0.25:2,1:1x256', 2e-3],
    ['0.25:2,1:1x4', 5e-4],
  ])('of %s grows with the root of its rows, up to four times those of the job', (levels, rate) => {
    expect(rateOf(levels)).toBeCloseTo(rate, 10);
  });

  it('is what it is said to be, and that of the job where rows do not say how noisy a gradient is', () => {
    expect(rateOf('0.25:2,1:1x64', { refineLearningRate: 3e-4 })).toBe(3e-4);
    expect(rateOf('0.25:2,1:1x64', { optimizer: 'prodigy' })).toBe(1e-3);
    expect(rateOf('0.25:2,1:1x64', { batchTokens: 4096 })).toBe(1e-3);
  });
});
