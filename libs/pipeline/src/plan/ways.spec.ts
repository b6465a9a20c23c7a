import type { JobPlan } from './plan.js';
import { fastestWay, waysOf, wordsOf } from './ways.js';

const mib = 2 ** 20;

function plan(seconds: readonly number[], overrides: Partial<JobPlan> = {}) {
  const stages = (['calibrate', 'emulate', 'train', 'refine'] as const).map((name, index) => ({
    ...{ name, seconds: seconds[index] ?? 0, peakDeviceBytes: (50 + index) * mib },
    ...{ copySeconds: 0.25, readSeconds: 0.5 },
  }));
  const planned: JobPlan = {
    ...{ fits: true, budgetBytes: 100 * mib, neededBytes: 20 * mib, stages, stepSeconds: 2 },
    anchors: null,
    ...overrides,
  };
  return { plan: planned, levels: null, steps: 7 };
}

const emulated = (seconds: readonly number[]) => ({ ...plan(seconds), levels: '0.25:4,1:3' });

describe('the ways to train', () => {
  it('are the emulator and the paged original where not all weights stay', () => {
    const [emulator, original] = [emulated([1, 2, 3, 4]), plan([0, 0, 40])];
    expect(waysOf({ emulator, original, residentBytes: 100 * mib + 1 })).toEqual([
      {
        ...{ name: 'emulator', fits: true, levels: '0.25:4,1:3', steps: 7, stepSeconds: 2 },
        ...{ seconds: 10, calibrationSeconds: 1, factorSeconds: 2, trainingSeconds: 7 },
        ...{ copySeconds: 1, readSeconds: 2, peakDeviceBytes: 53 * mib },
      },
      expect.objectContaining({ name: 'paged', fits: true, levels: null, seconds: 40 }),
      { name: 'resident', fits: false, reason: 'needs 100.00 MiB of a budget of 100.00 MiB' },
    ]);
  });

  it('are the emulator and the resident original where they do', () => {
    const ways = waysOf({
      ...{ emulator: emulated([1]), original: plan([9]), residentBytes: 100 * mib },
    });
    expect(ways).toMatchObject([
      { name: 'emulator', fits: true, seconds: 1 },
      { name: 'paged', fits: false, reason: 'all weights stay on the device' },
      { name: 'resident', fits: true, seconds: 9 },
    ]);
  });

  it('say what a way would need that does not fit, and that there may be no levels', () => {
    const tight = plan([1], { fits: false, neededBytes: 150 * mib });
    const ways = waysOf({ emulator: 'too many steps', original: tight, residentBytes: 200 * mib });
    expect(ways.map((way) => (way.fits ? '' : way.reason))).toEqual([
      'too many steps',
      'needs 150.00 MiB of a budget of 100.00 MiB',
      'needs 200.00 MiB of a budget of 100.00 MiB',
    ]);
    expect(fastestWay(ways)).toBeNull();
  });

  it.each([
    ['emulator', [3], [4]],
    ['paged', [5], [4]],
    ['paged', [4], [4]],
  ])('are fastest on %s with %p s and %p s', (name, emulator, original) => {
    const plans = { emulator: emulated(emulator), original: plan(original) };
    const ways = waysOf({ ...plans, residentBytes: 200 * mib });
    expect(fastestWay(ways)?.name).toBe(name);
    expect(wordsOf(ways)).toMatch(/^emulator takes \d\.0 s; paged takes 4\.0 s; resident: needs/);
  });
});
