import { OutOfBudgetError, type Device, type Tensor } from '@emloc/device';

import {
  combine,
  fromValues,
  identity,
  largestDifference,
  matrix,
  multiply,
  randomMatrix,
  transpose,
  type Matrix,
} from '../test/matrix.js';
import { upload } from '../test/problem.js';
import { openReferenceDevice, referenceProfile } from '../test/reference-device.js';
import { applyCorrection } from './apply-correction.js';
import { correctLoraLayer, type LayerCorrection } from './correction.js';

const [out, inFeatures, rank, inner] = [9, 12, 3, 4];

interface TestLayer {
  readonly w: Matrix;
  readonly u: Matrix;
  readonly v: Matrix;
  readonly a: Matrix;
  readonly b: Matrix;
  readonly scale: number;
}

const single = (a: Matrix): Matrix => ({ ...a, values: a.values.map(Math.fround) });

function createLayer(changes: Partial<TestLayer> = {}): TestLayer {
  return {
    w: single(randomMatrix(out, inFeatures, 1)),
    u: single(randomMatrix(out, inner, 2)),
    v: single(randomMatrix(inner, inFeatures, 3)),
    a: single(randomMatrix(rank, inFeatures, 4)),
    b: single(randomMatrix(out, rank, 5)),
    scale: 2,
    ...changes,
  };
}

async function correct(
  { w, u, v, a, b, scale }: TestLayer,
  device: Device = openReferenceDevice(),
  pieceBytes?: number,
): Promise<LayerCorrection> {
  const tensors = new Map<string, Tensor>();
  for (const [name, values] of Object.entries({ w, u, v, a, b }))
    tensors.set(name, upload(device, values, name));
  const named = (name: string): Tensor => tensors.get(name) as Tensor;
  try {
    return await correctLoraLayer({
      device,
      original: named('w'),
      emulator: { u: named('u'), v: named('v') },
      a: named('a'),
      b: named('b'),
      scale,
      pieceBytes,
    });
  } finally {
    for (const tensor of tensors.values()) tensor.dispose();
    expect([device.liveTensors, device.budget.inUseBytes]).toEqual([
      0,
      referenceProfile.reserveBytes,
    ]);
  }
}

function hostOf({ aCorrected, bRotated, delta }: LayerCorrection): {
  p: Matrix;
  bRotated: Matrix;
  delta: Matrix;
} {
  return {
    p: transpose(fromValues(aCorrected, rank, inFeatures)),
    bRotated: fromValues(bRotated, out, rank),
    delta: fromValues(delta, out, rank),
  };
}

/** Weight with adapter: weight + s · B A. */
function tuned(weight: Matrix, { scale }: TestLayer, b: Matrix, a: Matrix): Matrix {
  return combine(weight, multiply(b, a), scale);
}

describe('correction', () => {
  test.each([2, 1, 0.25])(
    "with a large λ the original answers on the adapter's subspace as the tuned emulator, at scale %d",
    async (scale) => {
      const layer = createLayer({ scale });
      const correction = await correct(layer);
      const { p } = hostOf(correction);
      const bCorrected = fromValues(
        applyCorrection({ ...correction, rank, lambda: 1e9 }),
        out,
        rank,
      );
      const onOriginal = multiply(
        tuned(layer.w, layer, bCorrected, fromValues(correction.aCorrected, rank, inFeatures)),
        p,
      );
      const onEmulator = multiply(tuned(multiply(layer.u, layer.v), layer, layer.b, layer.a), p);
      expect(largestDifference(onOriginal.values, onEmulator.values)).toBeLessThan(1e-5);
      const uncorrected = multiply(tuned(layer.w, layer, layer.b, layer.a), p);
      expect(largestDifference(uncorrected.values, onEmulator.values)).toBeGreaterThan(0.1);
    },
  );

  test("the rotation keeps the adapter: B' Pᵀ = B A with orthonormal P", async () => {
    const layer = createLayer();
    const { p, bRotated } = hostOf(await correct(layer));
    expect(largestDifference(multiply(transpose(p), p).values, identity(rank).values)).toBeLessThan(
      1e-6,
    );
    expect(
      largestDifference(multiply(bRotated, transpose(p)).values, multiply(layer.b, layer.a).values),
    ).toBeLessThan(1e-5);
  });

  test('Δ is (W − W_E) P / s', async () => {
    const layer = createLayer({ scale: 0.5 });
    const { p, delta } = hostOf(await correct(layer));
    const expected = multiply(combine(layer.w, multiply(layer.u, layer.v), -1), p);
    expect(
      largestDifference(
        delta.values,
        expected.values.map((value) => value / 0.5),
      ),
    ).toBeLessThan(1e-4);
  });

  test("λ limits each column of Δ to its share of B'", () => {
    const bRotated = Float32Array.of(1, 10, -1, -10);
    const delta = Float32Array.of(4, 4, 8, -4);
    expect([...applyCorrection({ bRotated, delta, rank: 2, lambda: 3 })]).toEqual([
      1 - 2,
      6,
      -1 - 4,
      -6,
    ]);
    expect([...applyCorrection({ bRotated, delta, rank: 2, lambda: 1e9 })]).toEqual([
      -3, 6, -9, -6,
    ]);
    expect([...applyCorrection({ bRotated, delta, rank: 2, lambda: Infinity })]).toEqual([
      -3, 6, -9, -6,
    ]);
  });

  test("a column of B' or Δ without magnitude takes no correction", () => {
    const values = {
      bRotated: Float32Array.of(0, 1, 0, 1),
      delta: Float32Array.of(5, 0, 5, 0),
      rank: 2,
    };
    for (const lambda of [3, Infinity])
      expect([...applyCorrection({ ...values, lambda })]).toEqual([0, 1, 0, 1]);
  });

  test('does not depend on how often it is computed, nor change its inputs', async () => {
    const layer = createLayer();
    const before = Object.values(layer).flatMap((part) =>
      typeof part === 'number' ? part : [...part.values],
    );
    const [first, second] = [await correct(layer), await correct(layer)];
    expect(second).toEqual(first);
    const copy = Float32Array.from(first.bRotated);
    expect(applyCorrection({ ...first, rank, lambda: 3 })).toEqual(
      applyCorrection({ ...first, rank, lambda: 3 }),
    );
    expect(first.bRotated).toEqual(copy);
    expect(
      Object.values(layer).flatMap((part) => (typeof part === 'number' ? part : [...part.values])),
    ).toEqual(before);
  });

  test('piece by piece is the same', async () => {
    const whole = await correct(createLayer());
    for (const pieceBytes of [1, 4 * 3 * inFeatures])
      expect(await correct(createLayer(), openReferenceDevice(), pieceBytes)).toEqual(whole);
  });

  test('an emulator equal to the original needs no correction', async () => {
    const u = single(randomMatrix(out, inner, 2));
    const v = single(randomMatrix(inner, inFeatures, 3));
    const correction = await correct(createLayer({ w: single(multiply(u, v)), u, v }));
    expect(largestDifference(correction.delta, new Float32Array(out * rank))).toBeLessThan(1e-5);
  });

  test.each([
    ['B of zeros', { b: matrix(out, rank, () => 0) }],
    ['A of zeros', { a: matrix(rank, inFeatures, () => 0) }],
    [
      'A with a row of zeros',
      {
        a: matrix(rank, inFeatures, (row, column) => (row === 1 ? 0 : Math.cos(row * 7 + column))),
      },
    ],
    [
      'A with equal rows',
      { a: matrix(rank, inFeatures, (_, column) => Math.fround(Math.sin(column + 1))) },
    ],
    [
      'A with a tiny row',
      {
        a: single(
          matrix(
            rank,
            inFeatures,
            (row, column) => (row === 2 ? 1e-12 : 1) * Math.cos(row * 7 + column),
          ),
        ),
      },
    ],
  ] as const)('%s keeps the adapter, with orthonormal directions', async (_, changes) => {
    const layer = createLayer(changes);
    const correction = await correct(layer);
    const { p, bRotated } = hostOf(correction);
    expect(largestDifference(multiply(transpose(p), p).values, identity(rank).values)).toBeLessThan(
      1e-6,
    );
    expect(
      largestDifference(multiply(bRotated, transpose(p)).values, multiply(layer.b, layer.a).values),
    ).toBeLessThan(1e-5);
    const corrected = applyCorrection({ ...correction, rank, lambda: 3 });
    expect(corrected.every(Number.isFinite)).toBe(true);
    if (multiply(layer.b, layer.a).values.every((value) => value === 0))
      expect(corrected.every((value) => value === 0)).toBe(true);
  });

  test("works in a bfloat16 device's weights without rounding P to bfloat16", async () => {
    const layer = createLayer();
    const device = openReferenceDevice({ computeDType: 'bfloat16' });
    const float32 = (values: Matrix, name: string): Tensor => {
      const bytes = new Uint8Array(Float32Array.from(values.values).buffer);
      return device.tensor(
        { bytes, dtype: 'float32' },
        [values.rows, values.columns],
        'float32',
        'lora',
        name,
      );
    };
    const [original, u, v] = [
      upload(device, layer.w, 'w'),
      upload(device, layer.u, 'u'),
      upload(device, layer.v, 'v'),
    ];
    const [a, b] = [float32(layer.a, 'a'), float32(layer.b, 'b')];
    const correction = await correctLoraLayer({
      device,
      original,
      emulator: { u, v },
      a,
      b,
      scale: 2,
    });
    const [w, rU, rV] = [
      fromValues(await device.download(original), out, inFeatures),
      fromValues(await device.download(u), out, inner),
      fromValues(await device.download(v), inner, inFeatures),
    ];
    const { p, delta } = hostOf(correction);
    const expected = multiply(combine(w, multiply(rU, rV), -1), p).values.map((value) => value / 2);
    expect(largestDifference(delta.values, expected)).toBeLessThan(1e-5);
    for (const tensor of [original, u, v, a, b]) tensor.dispose();
    expect([device.liveTensors, device.budget.inUseBytes]).toEqual([
      0,
      referenceProfile.reserveBytes,
    ]);
  });

  test('refuses shapes that do not belong together, a scale of zero, and values that are not finite', async () => {
    await expect(
      correct(createLayer({ v: randomMatrix(inner + 1, inFeatures, 1) })),
    ).rejects.toMatchObject({
      code: 'EMULATOR_SHAPE_MISMATCH',
      message: expect.stringContaining('U has shape'),
    });
    await expect(correct(createLayer({ scale: 0 }))).rejects.toMatchObject({
      code: 'EMULATOR_INVALID_SCALE',
    });
    await expect(
      correct(createLayer({ a: matrix(rank, inFeatures, () => NaN) })),
    ).rejects.toMatchObject({ code: 'EMULATOR_NON_FINITE' });
  });

  test('leaves nothing behind when the budget runs out', async () => {
    const probe = openReferenceDevice();
    await correct(createLayer(), probe);
    let failures = 0;
    for (let room = probe.budget.peakBytes - 64; room > probe.budget.peakBytes - 640; room -= 64) {
      await expect(correct(createLayer(), openReferenceDevice({}, room))).rejects.toBeInstanceOf(
        OutOfBudgetError,
      );
      failures += 1;
    }
    expect(failures).toBe(9);
  });
});
