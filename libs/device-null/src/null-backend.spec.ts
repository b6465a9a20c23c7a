import {
  Device,
  DeviceError,
  MemoryBudget,
  OutOfBudgetError,
  type AttentionMask,
  type DeviceProfile,
  type DType,
  type Tensor,
} from '@emloc/device';

import { createNullBackend } from './index.js';

const profile: DeviceProfile = {
  name: 'planned',
  computeDType: 'bfloat16',
  statisticsDType: 'float64',
  allocationBytes: 256,
  rankMultiple: 8,
  reserveBytes: 1000,
  workspaceBytes: { gemm: ({ out }) => 4 * out.size, eigh: ({ a }) => 8 * a.size },
};

function openDevice(totalBytes = Number.POSITIVE_INFINITY) {
  const backend = createNullBackend(profile);
  const budget = new MemoryBudget(totalBytes);
  const device = new Device(backend, budget);
  const tensor = (shape: number[], dtype: DType = 'bfloat16') =>
    device.allocate(shape, dtype, 'activations', `t${shape.join('x')}`);
  return { backend, budget, device, tensor };
}

describe('null backend', () => {
  test('accounts for tensors far larger than any host memory', async () => {
    const { budget, device, tensor } = openDevice();
    const huge = tensor([1 << 20, 1 << 20]);
    expect(budget.inUseBytes).toBe(1000 + 2 * 2 ** 40);
    huge.dispose();
    await device.close();
    expect(budget.inUseBytes).toBe(0);
  });

  test('reserves the workspaces of the planned device and respects its budget', () => {
    const { budget, device, tensor } = openDevice(1000 + 4 * 256 + 4 * 16);
    const [a, b, out, wideOut] = [tensor([4, 8]), tensor([8, 4]), tensor([4, 4]), tensor([8, 8])];
    device.kernels.gemm({ a, b, out });
    expect(budget.peakBytes).toBe(1000 + 4 * 256 + 4 * 16);
    expect(() => device.kernels.gemm({ a: b, b: a, out: wideOut })).toThrow(OutOfBudgetError);
    expect(() => tensor([64, 64])).toThrow(OutOfBudgetError);
  });

  test('counts calls, flops and bytes by kernel', async () => {
    const { backend, device, tensor } = openDevice();
    const [a, b, out] = [tensor([4, 8]), tensor([16, 8]), tensor([4, 16], 'float32')];
    device.kernels.gemm({ a, b, out, transposeB: true });
    device.kernels.gemm({ a, b, out, transposeB: true, accumulate: true });
    const bytes = 2 * 4 * 8 + 2 * 16 * 8 + 4 * 4 * 16;
    expect(backend.work.get('gemm')).toEqual({
      calls: 2,
      flops: 2 * 2 * 4 * 8 * 16,
      bytes: 2 * bytes + 4 * 4 * 16,
      float64Flops: 0,
    });
    expect(backend.work.get('add')).toBeUndefined();
    await device.kernels.eigh({ a: tensor([6, 6], 'float64'), values: tensor([6], 'float64') });
    expect(backend.work.get('eigh')).toEqual({
      calls: 1,
      flops: 9 * 216,
      bytes: 8 * (36 + 36 + 6),
      float64Flops: 0,
    });
  });

  test('tells products in float64 from others', () => {
    const { backend, device, tensor } = openDevice();
    const product = (dtype: DType): void => {
      const [a, b] = [tensor([4, 8], dtype), tensor([8, 2], dtype)];
      device.kernels.gemm({ a, b, out: tensor([4, 2], dtype) });
    };
    product('float64');
    product('float32');
    expect(backend.work.get('gemm')).toMatchObject({
      calls: 2,
      flops: 2 * 2 * 4 * 8 * 2,
      float64Flops: 2 * 4 * 8 * 2,
    });
  });

  test('counts attention by the pairs of its mask within each sequence', () => {
    const { backend, device, tensor } = openDevice();
    const sequences = {
      offsets: [0, 3, 5],
      deviceOffsets: tensor([3], 'int32'),
      positions: tensor([5], 'int32'),
      maxLength: 3,
    };
    const [q, k, v, out] = [tensor([5, 8]), tensor([5, 4]), tensor([5, 4]), tensor([5, 8])];
    const logSumExp = tensor([2, 5], 'float32');
    const options = { q, k, v, out, logSumExp, sequences, heads: 2, kvHeads: 1, scale: 0.5 };
    device.kernels.attention(options);
    expect(backend.work.get('attention')?.flops).toBe(2 * 2 * 4 * 2 * (6 + 3));
    device.kernels.attentionBackward({ ...options, dOut: out, dQ: q, dK: k, dV: v });
    expect(backend.work.get('attentionBackward')?.flops).toBe(5 * 2 * 4 * 2 * (6 + 3));
    const pairs = (mask: AttentionMask) => {
      const before = backend.work.get('attention')?.flops ?? 0;
      device.kernels.attention({ ...options, mask, softCap: 30, sinks: tensor([2]) });
      return ((backend.work.get('attention')?.flops ?? 0) - before) / (2 * 2 * 4 * 2);
    };
    expect(pairs({ kind: 'none' })).toBe(9 + 4);
    expect(pairs({ kind: 'window', window: 2 })).toBe(5 + 3);
    expect(() => device.kernels.attention({ ...options, sinks: tensor([3]) })).toThrow(
      /attention: t3 has shape \[3\], expected \[2\]/,
    );
    expect(() => pairs({ kind: 'window', window: 0 })).toThrow(/a window of 0 rows/);
    expect(() => device.kernels.attention({ ...options, k: q })).toThrow(
      /attention: t5x8 has shape \[5, 8\], expected \[5, 4\]/,
    );
  });

  test('refuses operands whose shapes do not belong together, and disposed ones', async () => {
    const { device, tensor } = openDevice();
    const [a, b, out] = [tensor([4, 8]), tensor([4, 8]), tensor([4, 4])];
    expect(() => device.kernels.gemm({ a, b, out })).toThrow(
      /gemm: t4x8 has shape \[4, 8\], expected \[8, 4\]/,
    );
    expect(() => device.kernels.add({ x: out, out: a })).toThrow(DeviceError);
    await expect(device.kernels.cholesky({ a })).rejects.toMatchObject({
      code: 'DEVICE_SHAPE_MISMATCH',
    });
    out.dispose();
    expect(() => device.kernels.fill({ out, value: 0 })).toThrow(
      expect.objectContaining({ code: 'DEVICE_USE_AFTER_DISPOSE' }),
    );
  });

  test('accepts every kernel with well-formed operands and leaves nothing reserved', async () => {
    const { backend, budget, device, tensor } = openDevice();
    const before = budget.inUseBytes;
    const created: ReturnType<typeof tensor>[] = [];
    const t = (shape: number[], dtype: DType = 'bfloat16') => {
      created.push(tensor(shape, dtype));
      return created.at(-1) as ReturnType<typeof tensor>;
    };
    const { kernels } = device;
    const [x, y, w, row] = [t([6, 8]), t([6, 8]), t([8]), t([6], 'float32')];
    const ids = t([6], 'int32');
    const sequences = {
      offsets: [0, 4, 6],
      deviceOffsets: t([3], 'int32'),
      positions: ids,
      maxLength: 4,
    };
    const patches = {
      ...{ height: 2, width: 3, size: 3, stride: 1, before: 1, outWidth: 3, first: 0 },
    };
    kernels.rmsNorm({ x, weight: w, epsilon: 1e-6, out: y, inverseRms: row });
    kernels.rmsNormBackward({ dOut: y, x, weight: w, inverseRms: row, dX: y, accumulate: true });
    kernels.rope({
      x,
      out: x,
      cos: t([9, 2], 'float32'),
      sin: t([9, 2], 'float32'),
      positions: ids,
      heads: 2,
    });
    kernels.gatedActivation({ gate: x, up: y, kind: 'silu', out: x });
    kernels.gatedActivationBackward({ dOut: x, gate: x, up: y, kind: 'silu', dGate: x, dUp: y });
    kernels.layerNorm({ x, weight: w, bias: null, epsilon: 0, out: y, mean: row, inverseStd: row });
    kernels.layerNormBackward({ dOut: y, x, weight: null, mean: row, inverseStd: row, dX: y });
    kernels.activation({ x, kind: 'gelu', out: x });
    kernels.activationBackward({ dOut: y, x, kind: 'gelu', dX: y });
    kernels.groupNorm({ x, groups: 4, weight: w, bias: w, epsilon: 0, sequences, out: y });
    kernels.gatherPatches({ x, ...patches, out: t([6, 72]) });
    kernels.scaleBy({ x, out: x, factor: 2 });
    kernels.mseLoss({ prediction: x, target: y, loss: row, gradientScale: t([1]) });
    const [scale, dScale] = [t([2, 8]), t([2, 8])];
    kernels.modulate({ x, scale, shift: dScale, sequences, out: y });
    kernels.modulateBackward({ dOut: y, x, scale, sequences, dX: x, dScale, dShift: null });
    kernels.gatedAdd({ x, gate: scale, sequences, out: y });
    kernels.gatedAddBackward({ dOut: y, x, gate: scale, sequences, dX: x, dGate: dScale });
    kernels.gatherRows({ table: t([50, 8]), rows: ids, out: x });
    kernels.scatterRows({ x, rows: ids, out: t([20, 8]) });
    kernels.copyBlocks({ copies: [{ x, columns: 3, xColumn: 5, out: y, outColumn: 2 }] });
    kernels.outerProducts({
      products: [{ left: x, leftColumn: 4, leftColumns: 2, right: y, out: t([2, 8], 'float32') }],
    });
    kernels.crossEntropy({
      logits: t([6, 50]),
      targets: ids,
      loss: row,
      prediction: ids,
      gradientScale: t([1]),
    });
    kernels.add({ x, out: y });
    kernels.addBias({ bias: w, out: y });
    kernels.fill({ out: y, value: 1 });
    kernels.cast({ x, out: t([6, 8], 'float32') });
    kernels.scale({ x, scale: t([6]), along: 'rows', out: y });
    kernels.squaredNorms({ tensors: [x, y], out: t([2], 'float32') });
    const p = t([3, 3], 'float32');
    kernels.adamw({
      parameters: [p],
      gradients: [p],
      firstMoments: [p],
      secondMoments: [p],
      squaredGradientNorms: t([1], 'float32'),
      maxGradientNorm: 1,
      learningRate: 1,
      beta1: 0,
      beta2: 0,
      epsilon: 0,
      weightDecay: 0,
      step: 1,
    });
    const [state, sums] = [[p], t([1], 'float32')];
    kernels.prodigyMoments({
      ...{ parameters: state, gradients: state, starts: state, gradientSums: state },
      ...{ firstMoments: state, secondMoments: state, squaredGradientNorms: sums },
      ...{ maxGradientNorm: 1, beta1: 0, beta2: 0, distance: 1, firstDistance: 1 },
      ...{ alignments: sums, magnitudes: sums },
    });
    kernels.prodigyUpdate({
      ...{ parameters: state, firstMoments: state, secondMoments: state },
      ...{ stepSize: 1, epsilon: 0, weightDecay: 0 },
    });
    kernels.gram({ x, out: t([8, 8], 'float64') });
    expect(await kernels.cholesky({ a: t([8, 8], 'float64') })).toBe(true);
    await kernels.solveTriangular({ x: t([3, 8], 'float64'), l: t([8, 8], 'float64') });
    expect(backend.work.size).toBe(34);
    expect(() => kernels.copyBlocks({ copies: [{ x, columns: 3, xColumn: 6, out: y }] })).toThrow(
      /\[6, 8\], at least \[6, 9\] expected/,
    );
    for (const { calls, bytes } of backend.work.values())
      expect([calls, bytes > 0]).toEqual([1, true]);
    for (const tensorToFree of created) tensorToFree.dispose();
    expect([budget.inUseBytes, device.liveTensors]).toEqual([before, 0]);
  });

  test('downloads zeros of the right type and counts transfers by stream', async () => {
    const { backend, device, tensor } = openDevice();
    const half = tensor([2, 3]);
    const source = { bytes: new Uint8Array(24).fill(7), dtype: 'float32' as const };
    device.upload(half, source, 'copy');
    device.upload(half, source);
    device.upload(half, source);
    expect(await device.download(half)).toEqual(new Float32Array(6));
    expect(await device.download(tensor([4], 'float64'))).toEqual(new Float64Array(4));
    expect(await device.download(tensor([], 'int32'))).toEqual(new Int32Array(1));
    await device.downloadBytes(half, new Uint8Array(12));
    await expect(device.downloadBytes(half, new Uint8Array(11))).rejects.toThrow(
      /11 bytes of room for 12/,
    );
    expect(backend.transferred).toEqual({
      uploaded: { compute: 48, copy: 24 },
      downloaded: 12 + 32 + 4 + 12,
    });
  });

  test('large downloads share their zeros', async () => {
    const { device, tensor } = openDevice();
    const [small, large, larger] = [
      tensor([8]),
      tensor([2 ** 18], 'float32'),
      tensor([2 ** 18], 'float64'),
    ];
    const values = [
      await device.download(large),
      await device.download(larger),
      await device.download(larger),
      await device.download(small),
      await device.download(small),
    ];
    expect(values.map(({ length }) => length)).toEqual([2 ** 18, 2 ** 18, 2 ** 18, 8, 8]);
    expect(values.every((zeros) => zeros.every((zero) => zero === 0))).toBe(true);
    expect(values[1]?.buffer).toBe(values[2]?.buffer);
    expect(values[3]?.buffer).not.toBe(values[4]?.buffer);
  });

  test('events are done at once and host buffers exist when looked at', async () => {
    const { device } = openDevice();
    const event = device.record('copy');
    device.streamWait('compute', event);
    await event.wait();
    event.dispose();
    const unseen = device.allocateHost(2 ** 50);
    unseen.dispose();
    const buffer = device.allocateHost(16);
    buffer.bytes[3] = 9;
    expect(buffer.bytes[3]).toBe(9);
    buffer.dispose();
  });

  test('records launches where the device makes them apart from the host', () => {
    expect(createNullBackend(profile).recorder).toBeNull();
    const backend = createNullBackend({ ...profile, launchOperations: 1e9 });
    const device = new Device(backend, new MemoryBudget(2 ** 20));
    const [x, out] = ['x', 'out'].map((label) =>
      device.allocate([4, 4], 'bfloat16', 'activations', label),
    ) as [Tensor, Tensor];
    const add = (): void => device.kernels.add({ x, out });
    add();
    expect(device.recorder?.begin([])).toBe(true);
    add();
    add();
    const recorded = device.recorder?.end([], []);
    expect(backend.launches).toEqual({ issued: 3, recorded: 2 });
    recorded?.launch();
    recorded?.launch();
    expect(backend.launches).toEqual({ issued: 5, recorded: 2 });
    expect(backend.work.get('add')?.calls).toBe(3 + 4);
  });

  test.each([
    ['a copy', (device: Device, x: Tensor) => device.download(x)],
    ['an event', (device: Device) => device.record('compute')],
    ['a wait', (device: Device) => device.streamWait('compute', device.record('copy'))],
    ['a synchronisation', (device: Device) => device.synchronize()],
  ])('no recording goes on over %s', async (_, interrupt) => {
    const backend = createNullBackend({ ...profile, launchOperations: 1e9 });
    const device = new Device(backend, new MemoryBudget(2 ** 20));
    const x = device.allocate([4, 4], 'bfloat16', 'activations', 'x');
    device.recorder?.begin([]);
    device.kernels.fill({ out: x, value: 1 });
    await interrupt(device, x);
    device.kernels.fill({ out: x, value: 1 });
    expect(device.recorder?.end([], [])).toBeNull();
    expect(backend.launches).toEqual({ issued: 2, recorded: 0 });
  });
});
