import { readFileSync } from 'node:fs';
import type { NoiseSchedule } from '@emloc/models';

import { dynamicShift, samplingNoiseLevels, trainingNoiseLevel } from './scheduler.js';

const golden = JSON.parse(
  readFileSync(new URL('../../test/goldens/golden-flux.json', import.meta.url), 'utf8'),
) as { sampling: { rows: number; steps: number; sigmas: number[] } };

const dynamic = {
  ...{ baseShift: 0.5, maxShift: 1.15, baseRows: 256, maxRows: 4096 },
  kind: 'exponential',
} as const;
const dev: NoiseSchedule = { levels: 1000, shift: 3, dynamic, shiftTerminal: null };
const schnell: NoiseSchedule = { ...dev, shift: 1, dynamic: null };

describe('noise levels of sampling', () => {
  it('are those of diffusers for FLUX.1-dev', () => {
    const { rows, steps, sigmas } = golden.sampling;
    const levels = samplingNoiseLevels(dev, { steps, rows });
    expect(levels).toHaveLength(steps + 1);
    sigmas.forEach((sigma, index) => expect(levels[index]).toBeCloseTo(sigma, 6));
  });

  it('are moved towards noise for larger images', () => {
    expect(dynamicShift(dynamic, 256)).toBe(0.5);
    expect(dynamicShift(dynamic, 1024)).toBeCloseTo(0.63, 10);
    expect(dynamicShift(dynamic, 4096)).toBeCloseTo(1.15, 10);
    const [small, large] = [1024, 4096].map((rows) => samplingNoiseLevels(dev, { steps: 2, rows }));
    // e^mu / (e^mu + 1 / 0.5 - 1)
    expect(small?.[1]).toBeCloseTo(Math.exp(0.63) / (Math.exp(0.63) + 1), 10);
    expect(large?.[1]).toBeCloseTo(Math.exp(1.15) / (Math.exp(1.15) + 1), 10);
  });

  it('fall evenly without a shift', () => {
    expect(samplingNoiseLevels(schnell, { steps: 4, rows: 4096 })).toEqual([1, 0.75, 0.5, 0.25, 0]);
    expect(samplingNoiseLevels(schnell, { steps: 1, rows: 4096 })).toEqual([1, 0]);
  });

  it('have their odds multiplied by a plain or a linear shift', () => {
    const plain = samplingNoiseLevels({ ...schnell, shift: 3 }, { steps: 2, rows: 1 });
    expect(plain).toEqual([1, 0.75, 0]);
    const linear = { ...dev, dynamic: { ...dynamic, kind: 'linear' as const } };
    expect(samplingNoiseLevels(linear, { steps: 2, rows: 256 })[1]).toBeCloseTo(0.5 / 1.5, 12);
  });

  it('are stretched to end at a terminal level', () => {
    const levels = samplingNoiseLevels({ ...schnell, shiftTerminal: 0.1 }, { steps: 4, rows: 1 });
    expect(levels[0]).toBe(1);
    expect(levels[1]).toBeCloseTo(0.7, 12);
    expect(levels.slice(3)).toEqual([expect.closeTo(0.1, 12), 0]);
  });

  it.each([0, 1.5, -1, Number.NaN])('refuse %d steps', (steps) => {
    expect(() => samplingNoiseLevels(dev, { steps, rows: 1024 })).toThrow(
      expect.objectContaining({ code: 'DIFFUSION_INVALID_OPTION' }),
    );
  });
});

describe('noise levels of training', () => {
  it('are not moved by a dynamic shift, but by a plain one', () => {
    expect(trainingNoiseLevel(dev, 0)).toBe(1);
    expect(trainingNoiseLevel(dev, 999)).toBeCloseTo(0.001, 12);
    expect(trainingNoiseLevel(schnell, 500)).toBe(0.5);
    expect(trainingNoiseLevel({ ...schnell, shift: 3 }, 500)).toBe(0.75);
  });
});
