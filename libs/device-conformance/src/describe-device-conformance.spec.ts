import { Device, MemoryBudget, type Backend } from '@emloc/device';

import { expectGap } from './describe-device-conformance.js';
import {
  conformanceBudgetBytes,
  conformanceCases,
  runConformanceCase,
  type ConformanceCase,
} from './index.js';

/** A backend that has memory and nothing else. */
function createBareBackend(): Backend {
  const profile = {
    name: 'bare',
    computeDType: 'float32',
    statisticsDType: 'float64',
    allocationBytes: 64,
    rankMultiple: 1,
    reserveBytes: 128,
    workspaceBytes: {},
  } as const;
  const kernels = new Proxy({}, { get: () => () => undefined });
  return { profile, kernels, allocate: () => ({}), free: () => undefined } as unknown as Backend;
}

const caseThat = (run: (device: Device) => Promise<void>): ConformanceCase => ({
  group: 'bare',
  name: 'case',
  run,
});

test('cases have distinct names', () => {
  const names = conformanceCases().map(({ group, name }) => `${group}: ${name}`);
  expect(names.length).toBeGreaterThan(100);
  expect(new Set(names).size).toBe(names.length);
});

test('a case runs on a device of its own, within a budget that starts at the reserve', async () => {
  await runConformanceCase(
    createBareBackend(),
    caseThat(async ({ budget }) => {
      expect(budget.inUseBytes).toBe(128);
      expect(budget.freeBytes).toBeGreaterThanOrEqual(conformanceBudgetBytes);
    }),
  );
});

test('a case that leaves a tensor fails', async () => {
  const leak = caseThat(
    async (device) => void device.allocate([4], 'float32', 'activations', 'left'),
  );
  await expect(runConformanceCase(createBareBackend(), leak)).rejects.toThrow('tensors left');
});

test('a case that leaves a reservation fails', async () => {
  const leak = caseThat(async (device) => void device.budget.reserve(64, 'workspace', 'left'));
  await expect(runConformanceCase(createBareBackend(), leak)).rejects.toThrow('bytes left in use');
});

test('only cases that ask for nothing pass on a device whose kernels and copies do nothing', async () => {
  const idle = {
    upload: () => undefined,
    synchronize: async () => undefined,
    download: async () => new Float32Array(0),
    downloadBytes: async () => undefined,
  };
  const backend = { ...createBareBackend(), ...idle };
  const passing: string[] = [];
  for (const one of conformanceCases().filter(
    ({ group }) => !['budget', 'workspace', 'determinism'].includes(group),
  )) {
    const device = new Device(backend as unknown as Backend, new MemoryBudget(2 ** 30));
    await one.run(device).then(
      () => passing.push(`${one.group}: ${one.name}`),
      () => undefined,
    );
  }
  expect(passing.sort()).toEqual([
    'decodeAttention: attends: no sequence',
    'gatherRows: copies no rows',
    'gemm: leaves nothing to do for empty results',
    'solveTriangular: does nothing for no rows',
    'upload: refuses a source of another size',
  ]);
});

test('a declared gap that fails is a gap, one that passes fails the suite', async () => {
  const backend = createBareBackend();
  await expectGap(
    caseThat(() => Promise.reject(new Error('no'))),
    backend,
  );
  await expect(
    expectGap(
      caseThat(() => Promise.resolve()),
      backend,
    ),
  ).rejects.toThrow('bare: case passes: take it out of the gaps');
});
