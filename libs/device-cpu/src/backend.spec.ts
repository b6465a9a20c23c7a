import { Device, DeviceError, MemoryBudget } from '@emloc/device';

import { cpuProfile, createCpuBackend, describeCpu } from './index.js';

const floatBytes = (values: readonly number[]) => ({
  bytes: new Uint8Array(Float32Array.from(values).buffer),
  dtype: 'float32' as const,
});

describe('cpu backend', () => {
  test("is the planner's profile", () => {
    const backend = createCpuBackend({ blas: 'portable' });
    expect(backend.profile).toBe(cpuProfile);
    expect(cpuProfile).toMatchObject({
      name: 'cpu',
      computeDType: 'float32',
      statisticsDType: 'float64',
      allocationBytes: 64,
      rankMultiple: 1,
      reserveBytes: 0,
    });
  });

  test('describes the portable code with one thread and no path', () => {
    expect(describeCpu({ blas: 'portable', threads: 8, relaxedSimd: false })).toEqual({
      library: 'portable',
      version: 'portable 0.2.0, SIMD',
      threads: 1,
      path: null,
    });
  });

  test('refuses a library that was named and does not load', () => {
    const open = () => createCpuBackend({ blas: '/nowhere/libopenblas.so' });
    expect(open).toThrow(DeviceError);
    expect(open).toThrow(
      expect.objectContaining({
        code: 'DEVICE_UNAVAILABLE',
        message: expect.stringContaining('/nowhere/libopenblas.so'),
      }),
    );
  });

  test('refuses a library that is no BLAS', () => {
    expect(() =>
      createCpuBackend({ blas: process.platform === 'darwin' ? 'libz.dylib' : 'libm.so.6' }),
    ).toThrow(/DEVICE_UNAVAILABLE|has no|does not load/);
  });

  test('refuses dtypes that it does not multiply', async () => {
    const device = new Device(createCpuBackend({ blas: 'portable' }), new MemoryBudget(2 ** 20));
    const half = device.tensor(floatBytes([1]), [1, 1], 'bfloat16', 'activations', 'half');
    expect(() => device.kernels.gemm({ a: half, b: half, out: half })).toThrow(
      expect.objectContaining({ code: 'DEVICE_UNSUPPORTED' }),
    );
    half.dispose();
    await device.close();
    expect(device.budget.inUseBytes).toBe(0);
  });

  test('refuses row indices outside the table', () => {
    const device = new Device(createCpuBackend({ blas: 'portable' }), new MemoryBudget(2 ** 20));
    const table = device.tensor(floatBytes([1, 2]), [2, 1], 'float32', 'weights', 'table');
    const rows = device.tensor(
      { bytes: new Uint8Array(Int32Array.of(2).buffer), dtype: 'int32' },
      [1],
      'int32',
      'activations',
      'ids',
    );
    const out = device.allocate([1, 1], 'float32', 'activations', 'out');
    expect(() => device.kernels.gatherRows({ table, rows, out })).toThrow(
      'gatherRows: ids[0] is 2, outside 0..1',
    );
  });

  test('runs kernels on empty tensors first of all', async () => {
    const device = new Device(createCpuBackend({ blas: 'portable' }), new MemoryBudget(2 ** 20));
    const empty = device.allocate([0, 8], 'float32', 'activations', 'empty');
    device.kernels.gatedActivation({ gate: empty, up: empty, kind: 'silu', out: empty });
    device.kernels.gatedActivationBackward({
      dOut: empty,
      gate: empty,
      up: empty,
      kind: 'silu',
      dGate: empty,
      dUp: empty,
    });
    device.kernels.rmsNorm({
      x: empty,
      weight: device.allocate([8], 'float32', 'weights', 'w'),
      epsilon: 1,
      out: empty,
      inverseRms: empty.reshape([0]),
    });
    expect(await device.download(empty)).toEqual(new Float32Array(0));
  });

  test('uploads from host bytes that are not aligned', async () => {
    const device = new Device(createCpuBackend({ blas: 'portable' }), new MemoryBudget(2 ** 20));
    const shifted = new Uint8Array(9);
    shifted.set(floatBytes([1.5, -2]).bytes, 1);
    const tensor = device.tensor(
      { bytes: shifted.subarray(1), dtype: 'float32' },
      [2],
      'float32',
      'activations',
      'x',
    );
    expect(Array.from(await device.download(tensor))).toEqual([1.5, -2]);
    tensor.dispose();
  });
});
