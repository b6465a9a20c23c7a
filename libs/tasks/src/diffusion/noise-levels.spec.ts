import type { NoiseSchedule } from '@emloc/models';

import { assertNoiseScheme, levelIndex, lossWeight, type NoiseScheme } from './noise-levels.js';
import { trainingNoiseLevel } from './scheduler.js';

const plain: NoiseSchedule = { levels: 1000, shift: 1, dynamic: null, shiftTerminal: null };
const dev: NoiseSchedule = {
  ...plain,
  ...{ shift: 3 },
  dynamic: { baseShift: 0.5, maxShift: 1.15, baseRows: 256, maxRows: 4096, kind: 'exponential' },
};

const uniforms = Array.from({ length: 2000 }, (_, index) => (index + 0.5) / 2000);

/** The mean noise level of evenly spread draws. */
function meanLevel(scheme: NoiseScheme, rows = 1024, schedule = dev): number {
  const levels = uniforms.map((uniform) =>
    trainingNoiseLevel(schedule, levelIndex(uniform, { scheme, schedule, rows })),
  );
  return levels.reduce((sum, level) => sum + level, 0) / levels.length;
}

describe('noise levels of draws', () => {
  it('are uniform without a scheme: floor(1000 u)', () => {
    const index = (uniform: number) =>
      levelIndex(uniform, { scheme: { kind: 'none' }, schedule: dev, rows: 1 });
    expect([1e-9, 0.0009, 0.0011, 0.5, 0.9999].map(index)).toEqual([0, 0, 1, 500, 999]);
    expect(meanLevel({ kind: 'none' })).toBeCloseTo(0.5, 2);
  });

  it('are the logistic of a normal draw', () => {
    const scheme = { kind: 'logit-normal', mean: 0.5, std: 2 } as const;
    const at = (uniform: number) => levelIndex(uniform, { scheme, schedule: dev, rows: 1 });
    expect(at(0.5)).toBe(Math.floor(1000 / (1 + Math.exp(-0.5))));
    // One standard deviation above the mean.
    expect(at(0.841344746)).toBe(Math.floor(1000 / (1 + Math.exp(-2.5))));
    // A mean above 0 is for less noise: the place counts from pure noise.
    expect(meanLevel(scheme)).toBeLessThan(0.45);
  });

  it('have a mode in the middle', () => {
    const scheme = { kind: 'mode', scale: 1.29 } as const;
    const at = (uniform: number) => levelIndex(uniform, { scheme, schedule: dev, rows: 1 });
    const place = 1 - 0.2 - 1.29 * (Math.cos(0.1 * Math.PI) ** 2 - 1 + 0.2);
    expect(at(0.2)).toBe(Math.floor(1000 * place));
    const nearMiddle = uniforms.map(at).filter((index) => Math.abs(index - 500) < 100).length;
    expect(nearMiddle / uniforms.length).toBeGreaterThan(0.25);
  });

  it('of sd-scripts are drawn themselves, and moved towards noise', () => {
    const sigmoid = { kind: 'sigmoid', scale: 1 } as const;
    expect(meanLevel(sigmoid)).toBeCloseTo(0.5, 2);
    const shifted = { ...sigmoid, kind: 'shift', shift: 3 } as const;
    const index = levelIndex(0.5, { scheme: shifted, schedule: dev, rows: 1 });
    // 3 · 0.5 / (1 + 2 · 0.5)
    expect(trainingNoiseLevel(dev, index)).toBeCloseTo(0.75, 2);
    expect(meanLevel(shifted)).toBeGreaterThan(0.65);
    const flux = { kind: 'flux-shift', scale: 1 } as const;
    expect(meanLevel(flux, 4096)).toBeGreaterThan(meanLevel(flux, 1024));
    expect(meanLevel(flux, 1024, plain)).toBeCloseTo(meanLevel(flux, 1024, dev), 2);
  });

  it('of sd-scripts stay what they are where training levels are shifted', () => {
    const schedule = { ...plain, shift: 3 };
    const scheme = { kind: 'sigmoid', scale: 1 } as const;
    const index = levelIndex(0.5, { scheme, schedule, rows: 1 });
    expect(trainingNoiseLevel(schedule, index)).toBeCloseTo(0.5, 2);
  });

  it.each<[NoiseScheme, RegExp]>([
    [{ kind: 'logit-normal', mean: 0, std: 0 }, /std of logit-normal is 0, a number above 0/],
    [{ kind: 'logit-normal', mean: Number.NaN, std: 1 }, /mean of logit-normal is NaN/],
    [{ kind: 'mode', scale: Number.POSITIVE_INFINITY }, /scale of mode is Infinity/],
    [{ kind: 'shift', scale: 1, shift: -1 }, /shift of shift is -1/],
    [{ kind: 'flux-shift', scale: 0 }, /scale of flux-shift is 0/],
  ])('refuse %j', (scheme, message) => {
    expect(() => assertNoiseScheme(scheme)).toThrow(
      expect.objectContaining({
        code: 'DIFFUSION_INVALID_OPTION',
        message: expect.stringMatching(message),
      }),
    );
  });

  it('take negative means and scales of the mode', () => {
    assertNoiseScheme({ kind: 'logit-normal', mean: -1, std: 1 });
    assertNoiseScheme({ kind: 'mode', scale: -0.5 });
    assertNoiseScheme({ kind: 'none' });
  });
});

describe('weights of losses', () => {
  it('are those of diffusers', () => {
    expect(lossWeight('none', 0.3)).toBe(1);
    expect(lossWeight('sigma-sqrt', 0.5)).toBe(4);
    expect(lossWeight('cosmap', 0.5)).toBeCloseTo(2 / (Math.PI * 0.5), 12);
    expect(lossWeight('cosmap', 1)).toBeCloseTo(2 / Math.PI, 12);
  });
});
