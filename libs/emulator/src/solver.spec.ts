import type { DeviceProfile, Tensor } from '@emloc/device';

import { iterationDType, solverFor, type FactorsChoice } from './solver.js';

const weightOf = (out: number, inFeatures: number): Tensor =>
  ({ dim: (axis: number) => (axis === 0 ? out : inFeatures) }) as Tensor;

test.each<[string, FactorsChoice, number, number, boolean, string]>([
  ['few columns of a large side', 'auto', 1024, 64, false, 'subspace'],
  ['many columns of a large side', 'auto', 1024, 512, false, 'full'],
  ['a small side', 'auto', 511, 8, false, 'full'],
  ['a fifth of 1024, by a device that factorizes float32', 'auto', 1024, 205, true, 'subspace'],
  ['a quarter of 1024, by a device that factorizes float32', 'auto', 1024, 256, true, 'full'],
  ['a third of 3584, by a device that factorizes float32', 'auto', 3584, 1205, true, 'subspace'],
  ['a half of 3584, by a device that factorizes float32', 'auto', 3584, 1792, true, 'full'],
  ['a smaller side, by a device that factorizes float32', 'auto', 1023, 64, true, 'full'],
  ['a small side, asked for', 'fast', 256, 8, false, 'subspace'],
  ['many columns, asked for', 'fast', 1024, 512, true, 'float32'],
  ['few columns, not asked for', 'exact', 1024, 64, false, 'full'],
])('%s: %s', (_, choice, side, rank, factorizesFloat32, solver) => {
  const profile = { statisticsDType: 'float64', factorizesFloat32 } as DeviceProfile;
  expect(solverFor(choice, { profile, weight: weightOf(side, 2 * side), rank })).toBe(solver);
});

test.each<[FactorsChoice, boolean, 'float32' | 'float64', string]>([
  ['auto', true, 'float64', 'float64'],
  ['auto', true, 'float32', 'float32'],
  ['auto', false, 'float64', 'float32'],
  ['fast', true, 'float64', 'float32'],
])(
  '%s, float64 as fast: %s, statistics in %s: in %s',
  (choice, hasFastFloat64, dtype, expected) => {
    const profile = { statisticsDType: dtype, hasFastFloat64 } as DeviceProfile;
    expect(iterationDType(choice, profile)).toBe(expected);
  },
);
