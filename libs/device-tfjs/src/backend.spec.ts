import { readdirSync, readFileSync } from 'node:fs';
import {
  Device,
  MemoryBudget,
  quantizedLayout,
  type Backend,
  type HostArray,
  type KernelName,
  type Tensor,
} from '@emloc/device';

import { createTfjsBackend } from './index.js';
import { loadTfjs } from './load.js';
import { missingKernels } from './missing-kernels.js';

const { tf } = loadTfjs('cpu');

function hostArray(values: readonly number[], dtype: 'float32' | 'int32' = 'float32'): HostArray {
  const elements = dtype === 'float32' ? Float32Array.from(values) : Int32Array.from(values);
  return { bytes: new Uint8Array(elements.buffer), dtype };
}

/** What the plain JavaScript backend keeps its arrays with. */
interface ArrayBackend {
  readonly data: { has(dataId: object): boolean };
  write(values: unknown, shape: readonly number[], dtype: string): object;
  disposeData(dataId: object, force?: boolean): boolean;
}

/**
 * The most bytes of arrays that are alive at once while `run` runs, beyond those that were there
 * before.
 */
function peakOf(run: () => void): number {
  const arrays = tf.backend() as unknown as ArrayBackend;
  const { write, disposeData } = arrays;
  const made = new Map<object, number>();
  let [live, peak] = [0, 0];
  arrays.write = (values, shape, dtype) => {
    const dataId = write.call(arrays, values, shape, dtype);
    const bytes = shape.reduce((size, extent) => size * extent, dtype === 'bool' ? 1 : 4);
    made.set(dataId, bytes);
    live += bytes;
    peak = Math.max(peak, live);
    return dataId;
  };
  arrays.disposeData = (dataId, force) => {
    const isGone = disposeData.call(arrays, dataId, force);
    if (made.has(dataId) && !arrays.data.has(dataId)) {
      live -= made.get(dataId) ?? 0;
      made.delete(dataId);
    }
    return isGone;
  };
  try {
    run();
  } finally {
    Object.assign(arrays, { write, disposeData });
  }
  return peak;
}

describe('the device over TensorFlow.js', () => {
  let backend: Backend;
  let device: Device;
  let tensorsBefore: number;
  const owned: Tensor[] = [];

  const codes = Array.from({ length: quantizedLayout(9 * 31, 'nf4').words }, () => 0);
  const tensor = (
    values: readonly number[],
    shape: readonly number[],
    dtype: 'float32' | 'int32' = 'float32',
  ): Tensor => {
    const made = device.tensor(hostArray(values, dtype), shape, dtype, 'activations', 'test');
    owned.push(made);
    return made;
  };
  const wave = (shape: readonly number[], seed = 1) =>
    tensor(
      Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(seed + i)),
      shape,
    );
  const valuesOf = async (source: Tensor) => Array.from(await device.download(source));

  beforeEach(() => {
    tensorsBefore = tf.memory().numTensors;
    backend = createTfjsBackend('cpu');
    device = new Device(backend, new MemoryBudget(2 ** 28));
  });

  afterEach(async () => {
    for (const one of owned.splice(0)) one.dispose();
    expect([device.liveTensors, device.budget.inUseBytes]).toEqual([0, 0]);
    expect(tf.memory().numTensors).toBe(tensorsBefore);
    await device.close();
  });

  /** Options of every kernel that is launched, with whole operands. */
  const launches = (): readonly (readonly [KernelName, object])[] => {
    const ints = (values: readonly number[]) => tensor(values, [values.length], 'int32');
    const sequences = {
      offsets: [0, 150, 151, 160],
      deviceOffsets: ints([0, 150, 151, 160]),
      positions: ints(Array.from({ length: 160 }, (_, i) => i)),
      maxLength: 150,
    };
    const attention = {
      q: wave([160, 32]),
      k: wave([160, 16], 2),
      v: wave([160, 16], 3),
      sequences,
      heads: 4,
      kvHeads: 2,
      scale: 0.3,
      out: wave([160, 32]),
      logSumExp: wave([4, 160]),
    };
    const scored = {
      ...attention,
      mask: { kind: 'window', window: 40 },
      softCap: 2,
      sinks: wave([4]),
    };
    const decoding = {
      ...{ q: wave([2, 32]), keys: wave([20, 16]), values: wave([20, 16]), out: wave([2, 32]) },
      cache: {
        ...{ starts: [1, 12], lengths: [9, 7] },
        ...{ deviceStarts: ints([1, 12]), deviceLengths: ints([9, 7]) },
      },
      ...{ heads: 4, kvHeads: 2, scale: 0.3 },
    };
    const gradients = {
      dOut: wave([160, 32]),
      dQ: wave([160, 32]),
      dK: wave([160, 16]),
      dV: wave([160, 16]),
    };
    const [x, out, weight, inverseRms] = [
      wave([9, 31]),
      wave([9, 31], 2),
      wave([31]),
      wave([9], 0.5),
    ];
    const modulation = { x: wave([160, 32]), scale: wave([3, 32]), sequences };
    const normed = {
      ...{ x: wave([160, 32]), groups: 4, epsilon: 1e-6, sequences, out: wave([160, 32]) },
      ...{ weight: wave([32]), bias: wave([32]) },
    };
    const patches = {
      ...{ height: 4, width: 5, size: 3, stride: 1, before: 1, outWidth: 5, first: 1 },
    };
    const moments = [wave([31]), wave([31])].map((one, i) => ({ one, two: wave([31], i) }));
    return [
      ['gemm', { a: wave([9, 20]), b: wave([20, 31]), out, alpha: 0.5, accumulate: true }],
      ['gemm', { a: wave([20, 9]), b: wave([31, 20]), out, transposeA: true, transposeB: true }],
      ['gram', { x, out: wave([31, 31]) }],
      [
        'outerProducts',
        {
          products: [
            {
              left: wave([20, 12]),
              leftColumn: 3,
              leftColumns: 9,
              right: wave([20, 31]),
              out,
              alpha: 2,
            },
          ],
        },
      ],
      ['rmsNorm', { x, weight, epsilon: 1e-5, out, inverseRms: wave([9]) }],
      [
        'rmsNormBackward',
        {
          dOut: out,
          x,
          weight,
          inverseRms,
          dX: wave([9, 31]),
          accumulate: true,
          out: wave([9, 31]),
        },
      ],
      [
        'rope',
        {
          x: wave([9, 32]),
          out: wave([9, 32]),
          cos: wave([12, 4]),
          sin: wave([12, 4]),
          positions: ints([0, 1, 2, 3, 4, 5, 6, 7, 11]),
          heads: 4,
          inverse: true,
        },
      ],
      [
        'rope',
        {
          x: wave([9, 32]),
          out: wave([9, 32]),
          cos: wave([12, 2]),
          sin: wave([12, 2]),
          positions: ints([0, 1, 2, 3, 4, 5, 6, 7, 11]),
          heads: 4,
          rotaryDim: 4,
          pairs: 'adjacent',
        },
      ],
      ['rmsNorm', { x, weight, weightOffset: 1, epsilon: 1e-5, out, inverseRms: wave([9]) }],
      [
        'layerNorm',
        { x, weight, bias: wave([31]), epsilon: 0, out, mean: wave([9]), inverseStd: wave([9]) },
      ],
      [
        'layerNormBackward',
        {
          dOut: out,
          x,
          weight,
          mean: inverseRms,
          inverseStd: inverseRms,
          dX: wave([9, 31]),
          accumulate: true,
        },
      ],
      ['groupNorm', { ...normed, activation: 'silu' }],
      ['groupNorm', normed],
      ['gatherPatches', { ...patches, x: wave([20, 8]), out: wave([18, 72]) }],
      ['activation', { x, kind: 'gelu', out }],
      ['activation', { x, kind: 'geluTanh', out }],
      ['activationBackward', { dOut: out, x, kind: 'gelu', dX: wave([9, 31]), accumulate: true }],
      ['activationBackward', { dOut: out, x, kind: 'geluTanh', dX: wave([9, 31]) }],
      ['gatedActivation', { gate: x, up: out, kind: 'clampedSwiglu', out: wave([9, 31]) }],
      [
        'gatedActivationBackward',
        {
          dOut: x,
          gate: out,
          up: wave([9, 31]),
          kind: 'clampedSwiglu',
          dGate: wave([9, 31]),
          dUp: wave([9, 31]),
        },
      ],
      ['scaleBy', { x, out, factor: 3 }],
      ['modulate', { ...modulation, shift: wave([3, 32]), out: wave([160, 32]) }],
      [
        'modulateBackward',
        {
          ...modulation,
          dOut: wave([160, 32]),
          dX: wave([160, 32]),
          accumulate: true,
          dScale: wave([3, 32]),
          dShift: wave([3, 32]),
        },
      ],
      ['gatedAdd', { ...modulation, gate: wave([3, 32]), out: wave([160, 32]) }],
      [
        'gatedAddBackward',
        {
          ...modulation,
          gate: wave([3, 32]),
          dOut: wave([160, 32]),
          dX: wave([160, 32]),
          dGate: wave([3, 32]),
        },
      ],
      [
        'mseLoss',
        { prediction: wave([9, 31]), target: x, loss: wave([9]), gradientScale: wave([1]) },
      ],
      [
        'mseLoss',
        {
          ...{ prediction: wave([9, 31]), target: x, weights: wave([9], 2), loss: wave([9]) },
          gradientScale: wave([1]),
        },
      ],
      ['attention', attention],
      ['attention', { ...attention, mask: { kind: 'none' } }],
      ['attention', scored],
      ['attention', { ...attention, mask: { kind: 'none' }, relativeBias: wave([9, 4]) }],
      ['decodeAttention', decoding],
      ['decodeAttention', { ...decoding, softCap: 30, sinks: wave([4]) }],
      ['attentionBackward', { ...attention, ...gradients }],
      ['attentionBackward', { ...attention, ...gradients, mask: { kind: 'none' } }],
      ['attentionBackward', { ...scored, ...gradients }],
      ['gatedActivation', { gate: x, up: out, kind: 'silu', out: wave([9, 31]) }],
      [
        'gatedActivationBackward',
        {
          dOut: x,
          gate: out,
          up: wave([9, 31]),
          kind: 'silu',
          dGate: wave([9, 31]),
          dUp: wave([9, 31]),
          out: wave([9, 31]),
        },
      ],
      ['gatherRows', { table: x, rows: ints([0, 8, 8]), out: wave([3, 31]) }],
      ['scatterRows', { x: wave([2, 31]), rows: ints([7, 1]), out }],
      [
        'copyBlocks',
        {
          copies: [
            { x, xColumn: 2, columns: 5, out: wave([20, 31]), outRow: 3, outColumn: 4, scale: 2 },
          ],
        },
      ],
      [
        'crossEntropy',
        {
          logits: wave([5, 301]),
          targets: ints([0, 1, -1, 3, 300]),
          loss: wave([5]),
          prediction: ints([0, 0, 0, 0, 0]),
          gradientScale: wave([1]),
        },
      ],
      [
        'crossEntropy',
        {
          logits: wave([5, 301]),
          targets: ints([0, 1, -1, 3, 300]),
          loss: wave([5]),
          prediction: ints([0, 0, 0, 0, 0]),
          gradientScale: wave([1]),
          logitScale: 2,
          softCap: 30,
        },
      ],
      ['add', { x, out, alpha: 2 }],
      ['addBias', { bias: weight, out }],
      ['fill', { out: wave([9, 31]), value: 3 }],
      [
        'dequantize',
        { x: tensor(codes, [codes.length], 'int32'), format: 'nf4', out: wave([9, 31]) },
      ],
      ['dropout', { x, out, probability: 0.25, key: tensor([1, 2], [2], 'int32'), stream: 3 }],
      ['doraGate', { magnitude: weight, inverseRms: weight, width: 9, gate: wave([9, 31]) }],
      ['doraGateBackward', { dGate: x, inverseRms: weight, width: 9, dMagnitude: wave([31]) }],
      ['cast', { x, out: wave([9, 31]) }],
      ['scale', { x, scale: weight, along: 'columns', out }],
      ['squaredNorms', { tensors: [x, weight], out: wave([2]) }],
      [
        'adamw',
        {
          parameters: moments.map(({ one }) => one),
          gradients: moments.map(({ two }) => two),
          firstMoments: [wave([31]), wave([31])],
          secondMoments: [wave([31]), wave([31])],
          squaredGradientNorms: wave([2], 2),
          maxGradientNorm: 1,
          learningRate: 0.1,
          beta1: 0.9,
          beta2: 0.99,
          epsilon: 1e-8,
          weightDecay: 0.1,
          step: 1,
        },
      ],
      [
        'prodigyMoments',
        {
          ...{ parameters: [wave([31])], gradients: [wave([31], 2)], starts: [wave([31], 3)] },
          ...{ firstMoments: [wave([31])], secondMoments: [wave([31])], gradientSums: [weight] },
          ...{ squaredGradientNorms: wave([1]), alignments: wave([1]), magnitudes: wave([1]) },
          ...{ maxGradientNorm: 1, beta1: 0.9, beta2: 0.99, distance: 0.1, firstDistance: 1e-6 },
        },
      ],
      [
        'prodigyUpdate',
        {
          ...{ parameters: [wave([31])], firstMoments: [wave([31])], secondMoments: [wave([31])] },
          ...{ stepSize: 0.1, epsilon: 1e-8, weightDecay: 0.1 },
        },
      ],
    ];
  };

  it('leaves no tensor of TensorFlow behind, whatever is launched', async () => {
    const all = launches();
    const others = ['eigh', 'cholesky', 'solveTriangular', ...missingKernels];
    expect(new Set([...all.map(([name]) => name), ...others])).toEqual(
      new Set(Object.keys(device.kernels)),
    );
    const held = tf.memory().numTensors;
    for (const [name, options] of all) (device.kernels[name] as (given: object) => void)(options);
    expect(tf.memory().numTensors).toBe(held);
    const a = tensor([2, 1, 1, 3], [2, 2]);
    await device.kernels.eigh({ a, values: tensor([0, 0], [2]) });
    const l = tensor([2, 1, 1, 3], [2, 2]);
    await device.kernels.cholesky({ a: l });
    await device.kernels.solveTriangular({ x: tensor([1, 2], [1, 2]), l });
    expect(tf.memory().numTensors).toBe(held + 4);
  });

  it('takes no more bytes on the way than its profile declares, and not much less', () => {
    const outside = launches().flatMap(([name, options], index) => {
      const peak = peakOf(() => (device.kernels[name] as (given: object) => void)(options));
      const workspace = device.profile.workspaceBytes[name] as (given: object) => number;
      const declared = workspace?.(options) ?? 0;
      const isWithin = peak <= declared && declared <= 2 * peak + 128;
      return isWithin ? [] : [{ name, index, peak, declared }];
    });
    expect(outside).toEqual([]);
  });

  it('keeps values that two tensors share apart when one of them is written', async () => {
    const x = tensor([1, 2, 3, 4, 5, 6], [3, 2]);
    const out = tensor([0, 0, 0, 0, 0, 0], [3, 2]);
    const copied = () => device.kernels.cast({ x, out });
    const writes: readonly (() => void)[] = [
      () =>
        device.kernels.scatterRows({
          x: tensor([9, 9], [1, 2]),
          rows: tensor([1], [1], 'int32'),
          out,
        }),
      () => device.kernels.add({ x: tensor([1, 1, 1, 1, 1, 1], [3, 2]), out }),
      () => device.kernels.fill({ out: out.rows(1, 2), value: 7 }),
      () => device.upload(out.rows(0, 1), hostArray([8, 8])),
      () =>
        device.kernels.copyBlocks({
          copies: [{ x: tensor([0], [1, 1]), columns: 1, out, outRow: 2 }],
        }),
    ];
    for (const write of writes) {
      copied();
      write();
      expect(await valuesOf(x)).toEqual([1, 2, 3, 4, 5, 6]);
      expect(await valuesOf(out)).not.toEqual([1, 2, 3, 4, 5, 6]);
    }
  });

  it("copies on upload and on download: neither array is TensorFlow's afterwards", async () => {
    const source = hostArray([1, 2, 3, 4]);
    const x = tensor([0, 0, 0, 0], [4]);
    device.upload(x, source);
    source.bytes.fill(0);
    const first = await device.download(x);
    expect(Array.from(first)).toEqual([1, 2, 3, 4]);
    first.fill(0);
    expect(await valuesOf(x)).toEqual([1, 2, 3, 4]);
  });

  it('widens float16, bfloat16 and float64 on the way to float32', async () => {
    const x = tensor([0, 0], [2]);
    const upload = async (
      elements: Uint16Array | Float64Array,
      dtype: 'float16' | 'bfloat16' | 'float64',
    ) => {
      device.upload(x, { bytes: new Uint8Array(elements.buffer), dtype });
      return valuesOf(x);
    };
    expect(await upload(Uint16Array.of(0x3c00, 0xc248), 'float16')).toEqual([1, -3.140625]);
    expect(await upload(Uint16Array.of(0x3f80, 0xc049), 'bfloat16')).toEqual([1, -3.140625]);
    expect(await upload(Float64Array.of(1 / 3, -1e-300), 'float64')).toEqual([
      Math.fround(1 / 3),
      -0,
    ]);
  });

  it('refuses the dtypes that TensorFlow.js does not have, and conversions between the others', () => {
    for (const dtype of ['bfloat16', 'float64'] as const) {
      expect(() => device.allocate([2], dtype, 'activations', 'x')).toThrow(
        expect.objectContaining({ code: 'DEVICE_UNSUPPORTED' }),
      );
    }
    const [x, indices] = [tensor([1], [1]), tensor([1], [1], 'int32')];
    expect(() => device.kernels.cast({ x, out: indices })).toThrow(
      expect.objectContaining({ code: 'DEVICE_UNSUPPORTED' }),
    );
    expect(() => device.kernels.add({ x: indices, out: x })).toThrow(
      expect.objectContaining({ code: 'DEVICE_UNSUPPORTED' }),
    );
  });

  it('refuses rows, positions and targets outside their table, where a GPU would read zeros', () => {
    const [table, out, outside] = [wave([3, 2]), wave([1, 2]), tensor([3], [1], 'int32')];
    const refusal = expect.objectContaining({
      code: 'DEVICE_SHAPE_MISMATCH',
      message: expect.stringContaining('is 3, outside 0..2'),
    });
    expect(() => device.kernels.gatherRows({ table, rows: outside, out })).toThrow(refusal);
    expect(() => device.kernels.scatterRows({ x: out, rows: outside, out: table })).toThrow(
      refusal,
    );
    expect(() =>
      device.kernels.rope({
        x: out,
        out,
        cos: wave([3, 1]),
        sin: wave([3, 1]),
        positions: outside,
        heads: 1,
      }),
    ).toThrow(refusal);
    expect(() =>
      device.kernels.crossEntropy({
        logits: wave([1, 3]),
        targets: outside,
        loss: wave([1]),
        prediction: tensor([0], [1], 'int32'),
      }),
    ).toThrow(refusal);
  });

  it('looks integers that a kernel wrote up on the device', async () => {
    const [rows, out] = [tensor([0, 0], [2], 'int32'), wave([2, 2])];
    device.kernels.fill({ out: rows, value: 2 });
    device.kernels.gatherRows({ table: tensor([1, 2, 3, 4, 5, 6], [3, 2]), rows, out });
    expect(await valuesOf(out)).toEqual([5, 6, 5, 6]);
  });

  it('leaves nothing behind when an operation fails', () => {
    const held = tf.memory().numTensors + 2;
    const [x, out] = [wave([4, 3]), wave([4, 4])];
    expect(() => device.kernels.gemm({ a: x, b: x, out })).toThrow(
      expect.objectContaining({ code: 'DEVICE_SHAPE_MISMATCH' }),
    );
    expect(tf.memory().numTensors).toBe(held);
  });

  it('frees what is left when it is closed', async () => {
    const other = createTfjsBackend('cpu');
    const before = tf.memory().numTensors;
    const leak = new Device(other, new MemoryBudget(1024)).tensor(
      hostArray([1]),
      [1],
      'float32',
      'activations',
      'leak',
    );
    expect(tf.memory().numTensors).toBe(before + 1);
    await other.close();
    await other.close();
    expect(tf.memory().numTensors).toBe(before);
    expect(leak.isDisposed).toBe(false);
  });
});

describe('the operations that some backend of TensorFlow.js answers wrongly', () => {
  const folder = new URL('kernels/', import.meta.url);
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts'));

  it.each(['oneHot', 'fused', 'batchDims', 'tensorScatterUpdate', 'scatterND', 'argMax', "'bool'"])(
    '%s: no kernel calls it',
    (name) => {
      expect(files.length).toBeGreaterThan(10);
      const calls = new RegExp(
        `\\btf\\.${name}\\b|\\b${name}:|${name.startsWith("'") ? name : '(?!)'}`,
      );
      const callers = files.filter((file) =>
        calls.test(readFileSync(new URL(file, folder), 'utf8')),
      );
      expect(callers).toEqual([]);
    },
  );
});
