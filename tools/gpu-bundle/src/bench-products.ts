import { last } from '@emloc/checked';
import { attendedPairs, type AttentionMask, type Tensor } from '@emloc/device';

import { measure, type Group } from './bench-lab.js';

export const benchGemm: Group = async (device, operands, report) => {
  for (const [m, n, k] of [
    [4096, 4096, 4096],
    [8192, 8192, 8192],
    [2048, 3584, 3584],
    [2048, 18944, 3584],
    [2048, 1216, 3584],
  ] as const) {
    const [a, b, out] = [
      operands.random([m, k]),
      operands.random([n, k]),
      operands.empty([m, n], 'bfloat16'),
    ];
    const work = { flops: 2 * m * n * k };
    report(
      await measure(device, `gemm ${m}x${n}x${k} a bT`, work, () =>
        device.kernels.gemm({ a, b, out, transposeB: true }),
      ),
    );
  }
  const x = operands.random([8192, 3584]);
  for (const dtype of ['float32', 'float64'] as const) {
    const out = operands.random([3584, 3584], dtype);
    report(
      await measure(device, `gram 8192x3584 into ${dtype}`, { flops: 2 * 8192 * 3584 ** 2 }, () =>
        device.kernels.gram({ x, out }),
      ),
    );
  }
  const [a, b, out] = [
    operands.random([3584, 3584], 'float64'),
    operands.random([3584, 3584], 'float64'),
    operands.empty([3584, 3584], 'float64'),
  ];
  report(
    await measure(device, 'gemm 3584^3 float64', { flops: 2 * 3584 ** 3 }, () =>
      device.kernels.gemm({ a, b, out }),
    ),
  );
};

type AttentionBench = readonly [
  heads: number,
  kvHeads: number,
  headDim: number,
  lengths: readonly number[],
  mask: AttentionMask,
];

export const benchAttention: Group = async (device, operands, report) => {
  const causal: AttentionMask = { kind: 'causal' };
  for (const [heads, kvHeads, headDim, lengths, mask] of [
    [28, 4, 128, [1024, 1024], causal],
    [32, 8, 64, [1024, 1024], causal],
    [28, 4, 128, [8192], causal],
    [28, 4, 128, Array.from({ length: 16 }, () => 128), causal],
    [28, 4, 128, [4096], { kind: 'none' }],
    [24, 24, 128, [1536], { kind: 'none' }],
    [24, 24, 128, [4608], { kind: 'none' }],
    [16, 16, 80, [4096], { kind: 'none' }],
    [32, 8, 64, [8192], { kind: 'window', window: 1024 }],
    [8, 4, 256, [2048], causal],
    [8, 4, 256, [8192], { kind: 'window', window: 1024 }],
    [32, 4, 512, [1024, 1024], causal],
  ] as readonly AttentionBench[]) {
    const sequences = operands.sequences(lengths);
    const rows = last(sequences.offsets);
    const [q, out, dOut, dQ] = Array.from({ length: 4 }, () =>
      operands.random([rows, heads * headDim]),
    ) as [Tensor, Tensor, Tensor, Tensor];
    const [k, v, dK, dV] = Array.from({ length: 4 }, () =>
      operands.random([rows, kvHeads * headDim]),
    ) as [Tensor, Tensor, Tensor, Tensor];
    const logSumExp = operands.empty([heads, rows], 'float32');
    const scale = headDim ** -0.5;
    const options = { q, k, v, out, logSumExp, sequences, heads, kvHeads, scale, mask };
    const pairs = attendedPairs(sequences, mask);
    const kind = mask.kind === 'causal' ? '' : `, mask ${Object.values(mask).join(' ')}`;
    const label = `${lengths.length} x ${lengths[0]}, ${heads}/${kvHeads} heads of ${headDim}${kind}`;
    report(
      await measure(device, `attention ${label}`, { flops: 4 * pairs * heads * headDim }, () =>
        device.kernels.attention(options),
      ),
    );
    const backward = { ...options, dOut, dQ, dK, dV };
    report(
      await measure(
        device,
        `attentionBackward ${label}`,
        { flops: 10 * pairs * heads * headDim },
        () => device.kernels.attentionBackward(backward),
      ),
    );
  }
};
