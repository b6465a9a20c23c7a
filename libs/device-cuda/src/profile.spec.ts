import { Tensor, type DType, type SequenceLayout } from '@emloc/device';

import {
  cudaOrdinal,
  cudaProfile,
  describeCuda,
  hasFastFloat64,
  launchOperationsOf,
} from './index.js';
import {
  gatedDeltaRuleBackwardScratchBytes,
  gatedDeltaRuleScratchBytes,
} from './kernels/gated-delta-rule-plan.js';

const tensor = (shape: readonly number[], dtype: DType) =>
  new Tensor(shape, dtype, 'planned', null, () => undefined);

describe('cuda profile', () => {
  const { workspaceBytes, ...profile } = cudaProfile();

  test('plans for CUDA on a machine without one', () => {
    expect(profile).toMatchObject({
      computeDType: 'bfloat16',
      statisticsDType: 'float64',
      rankMultiple: 64,
      allocationBytes: 512,
    });
    expect(cudaProfile({ statisticsDType: 'float32', reserveBytes: 5 })).toMatchObject({
      statisticsDType: 'float32',
      reserveBytes: 5,
    });
  });

  test('counts the scratch memory of a statistic: one panel of float32 products for float64 sums', () => {
    const x = tensor([64, 3584], 'bfloat16');
    expect(workspaceBytes.gram?.({ x, out: tensor([3584, 3584], 'float64') })).toBe(
      1024 * 3584 * 4,
    );
    expect(workspaceBytes.gram?.({ x, out: tensor([3584, 3584], 'float32') })).toBe(0);
  });

  test('counts parts of dK and dV only where keys are few', () => {
    const scratch = (rows: number) => {
      const [q, k] = [tensor([rows, 28 * 128], 'bfloat16'), tensor([rows, 4 * 128], 'bfloat16')];
      const logSumExp = tensor([28, rows], 'float32');
      const sequences: SequenceLayout = {
        offsets: [0, rows],
        deviceOffsets: tensor([2], 'int32'),
        positions: tensor([rows], 'int32'),
        maxLength: rows,
      };
      return workspaceBytes.attentionBackward?.({
        q,
        k,
        v: k,
        out: q,
        dOut: q,
        dQ: q,
        dK: k,
        dV: k,
        logSumExp,
        sequences,
        heads: 28,
        kvHeads: 4,
        scale: 1,
      });
    };
    expect(scratch(2048)).toBe(2048 * 28 * 4 + 2 * 2048 * 28 * 128 * 4);
    expect(scratch(16_384)).toBe(16_384 * 28 * 4);
  });

  test('counts what a delta rule prepares for all chunks, in passes where that is much', () => {
    const options = (rows: number, dtype: DType) => ({
      ...{ q: tensor([rows, 16 * 128], dtype), v: tensor([rows, 48 * 128], dtype) },
      ...{ keyHeads: 16, valueHeads: 48 },
      sequences: {
        ...{ offsets: [0, rows], deviceOffsets: tensor([2], 'int32'), maxLength: rows },
        positions: tensor([rows], 'int32'),
      },
    });
    const perChunk = 2 * 64 * 64 * 2 + 64 * 4;
    expect(gatedDeltaRuleScratchBytes(options(2048, 'bfloat16'))).toBe(32 * 48 * perChunk);
    expect(gatedDeltaRuleBackwardScratchBytes(options(2048, 'bfloat16'))).toBe(
      32 * 48 * (perChunk + 128 * 128 * 2),
    );
    const many = gatedDeltaRuleBackwardScratchBytes(options(2 ** 14, 'bfloat16'));
    expect([many > 2 ** 26, many <= 2 ** 27]).toEqual([true, true]);
    expect(gatedDeltaRuleScratchBytes(options(2048, 'float32'))).toBe(0);
    expect(gatedDeltaRuleBackwardScratchBytes(options(2048, 'float32'))).toBeLessThan(2 ** 26);
  });

  test('counts sums of stretches of rows for outer products of few columns, none where one block does all rows or the library does them', () => {
    const scratch = (rows: number, columns: number, leftColumns: number) =>
      workspaceBytes.outerProducts?.({
        products: [
          {
            left: tensor([rows, 64], 'bfloat16'),
            leftColumns,
            right: tensor([rows, columns], 'bfloat16'),
            out: tensor([leftColumns, columns], 'float32'),
          },
        ],
      });
    expect(scratch(2048, 9_472, 8)).toBe(2 * 9_472 * 8 * 4);
    expect(scratch(2048, 9_472, 16)).toBe(2 * 2 * 9_472 * 8 * 4);
    expect(scratch(2048, 512, 8)).toBe(16 * 512 * 8 * 4);
    expect([
      scratch(2048, 18_944, 8),
      scratch(2048, 18_944, 64),
      scratch(2048, 18_944, 5),
      scratch(2048, 77, 8),
    ]).toEqual([0, 0, 0, 0]);
  });

  test('every workspace is a multiple of the allocation granule', () => {
    const parameters = [tensor([7, 11], 'float32'), tensor([100_000], 'float32')];
    const one = tensor([2], 'float32');
    const options = {
      parameters,
      gradients: parameters,
      firstMoments: parameters,
      secondMoments: parameters,
      squaredGradientNorms: one,
      maxGradientNorm: 1,
      learningRate: 1,
      beta1: 0,
      beta2: 0,
      epsilon: 0,
      weightDecay: 0,
      step: 1,
    };
    const sizes = [
      workspaceBytes.adamw?.(options),
      workspaceBytes.squaredNorms?.({ tensors: parameters, out: one }),
      workspaceBytes.eigh?.({ a: tensor([301, 301], 'float64'), values: tensor([301], 'float64') }),
      workspaceBytes.cholesky?.({ a: tensor([3, 3], 'float32') }),
    ];
    for (const bytes of sizes) expect([(bytes ?? 0) > 0, (bytes ?? 1) % 512]).toEqual([true, 0]);
  });
});

test.each([
  [80, true],
  [86, false],
  [89, false],
  [90, true],
  [120, false],
])('float64 is fast at compute capability %i: %s', (computeCapability, expected) => {
  expect(hasFastFloat64({ computeCapability })).toBe(expected);
});

test.each([
  ['an H200', 90, 132, 8e9],
  ['an A100', 80, 108, 3.3e9],
  ['an RTX 4090', 89, 128, 0.97e9],
])('what %s computes during a launch', (_, computeCapability, multiprocessors, expected) => {
  const operations = launchOperationsOf({ computeCapability, multiprocessors });
  expect(operations / expected).toBeCloseTo(1, 1);
});

describe('cuda device selection', () => {
  test('reads device names', () => {
    expect([
      cudaOrdinal('cuda'),
      cudaOrdinal('cuda:3'),
      cudaOrdinal('cpu'),
      cudaOrdinal('cuda:'),
    ]).toEqual([0, 3, null, null]);
  });

  test('says what was found, and names what is missing', () => {
    const { available, problem, libraries } = describeCuda();
    expect(libraries.map(({ name }) => name)).toContain('libcuda.so.1');
    expect(available).toBe(problem === null);
    const missing = libraries.find((library) => library.problem);
    if (missing) expect(problem).toContain(missing.name);
  });
});
