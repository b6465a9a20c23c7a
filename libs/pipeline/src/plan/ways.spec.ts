import type { JobPlan } from './plan.js';
import { waysOf } from './ways.js';

const mib = 2 ** 20;

function plan(seconds: readonly number[], overrides: Partial<JobPlan> = {}): JobPlan {
  return {
    fits: true,
    budgetBytes: 100 * mib,
    neededBytes: 20 * mib,
    stages: seconds.map((value, index) => ({
      name: 'train',
      seconds: value,
      peakDeviceBytes: (50 + index) * mib,
    })),
    stepSeconds: 2,
    ...overrides,
  };
}

describe('the ways to train the same steps', () => {
  it('are the emulator and the paged original where not all weights stay', () => {
    const [emulator, original] = [plan([1, 2, 3]), plan([40], { stepSeconds: 4 })];
    expect(waysOf({ emulator, original, residentBytes: 100 * mib + 1 })).toEqual([
      { name: 'emulator', fits: true, stepSeconds: 2, seconds: 6, peakDeviceBytes: 52 * mib },
      { name: 'paged', fits: true, stepSeconds: 4, seconds: 40, peakDeviceBytes: 50 * mib },
      { name: 'resident', fits: false, reason: 'needs 100.00 MiB of a budget of 100.00 MiB' },
    ]);
  });

  it('are the emulator and the resident original where they do', () => {
    const ways = waysOf({ emulator: plan([1]), original: plan([9]), residentBytes: 100 * mib });
    expect(ways).toMatchObject([
      { name: 'emulator', fits: true, seconds: 1 },
      { name: 'paged', fits: false, reason: 'all weights stay on the device' },
      { name: 'resident', fits: true, seconds: 9 },
    ]);
  });

  it('say what a way would need that does not fit', () => {
    const tight = plan([1], { fits: false, neededBytes: 150 * mib });
    const ways = waysOf({ emulator: tight, original: tight, residentBytes: 200 * mib });
    expect(ways.map((way) => (way.fits ? '' : way.reason))).toEqual([
      'needs 150.00 MiB of a budget of 100.00 MiB',
      'needs 150.00 MiB of a budget of 100.00 MiB',
      'needs 200.00 MiB of a budget of 100.00 MiB',
    ]);
  });

  it('have no emulator at a ratio of 1', () => {
    const [first] = waysOf({ emulator: null, original: plan([1]), residentBytes: 1 });
    expect(first).toEqual({
      name: 'emulator',
      fits: false,
      reason: 'a ratio of 1 has no emulator',
    });
  });
});
