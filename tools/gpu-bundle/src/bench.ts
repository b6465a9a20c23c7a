import { at, last } from '@emloc/checked';
import { attendedPairs, type AttentionMask, type Device, type Tensor } from '@emloc/device';

import { benchDelta } from './bench-delta.js';
import { measure, Operands, type Group, type Measurement } from './bench-lab.js';

/**
 * Kernels at the shapes of a 7.6B model (3584 wide, 28 and 4 heads of 128, 18944 inside) on 2 x
 * 1024 tokens, and attention at others.
 * @param only of the groups gemm, attention, delta, elementwise, images and optimizer those whose
 * name matches
 */
export async function benchmarkKernels(
  device: Device,
  report: (line: Measurement) => void,
  only: RegExp | null,
): Promise<void> {
  const groups = {
    gemm: benchGemm,
    attention: benchAttention,
    delta: benchDelta,
    elementwise: benchElementwise,
    images: benchImageCoders,
    optimizer: benchOptimizer,
  };
  await warmUp(device);
  for (const [name, group] of Object.entries(groups)) {
    if (only && !only.test(name)) continue;
    const operands = new Operands(device);
    try {
      await group(device, operands, report);
    } finally {
      await device.synchronize();
      operands.dispose();
    }
  }
}

/** An idle card takes a while to reach its clock: half a second of products. */
async function warmUp(device: Device): Promise<void> {
  const operands = new Operands(device);
  const [a, b, out] = [0, 1, 2].map(() => operands.random([4096, 4096])) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  const start = performance.now();
  while (performance.now() - start < 500) {
    for (let i = 0; i < 20; i += 1) device.kernels.gemm({ a, b, out });
    await device.synchronize();
  }
  operands.dispose();
}

const benchGemm: Group = async (device, operands, report) => {
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

const benchAttention: Group = async (device, operands, report) => {
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

const benchElementwise: Group = async (device, operands, report) => {
  const { kernels } = device;
  const [rows, width, inner, vocabulary] = [8192, 3584, 18944, 152_064];
  const [x, y, z] = [
    operands.random([rows, width]),
    operands.random([rows, width]),
    operands.random([rows, width]),
  ];
  const [weight, inverseRms] = [operands.random([width]), operands.empty([rows], 'float32')];
  const bytes = 2 * rows * width;
  report(
    await measure(device, 'rmsNorm', { bytes: 2 * bytes }, () =>
      kernels.rmsNorm({ x, weight, epsilon: 1e-6, out: y, inverseRms }),
    ),
  );
  report(
    await measure(device, 'rmsNormBackward', { bytes: 3 * bytes }, () =>
      kernels.rmsNormBackward({ dOut: y, x, weight, inverseRms, dX: z }),
    ),
  );
  const [cos, sin] = [
    operands.random([1024, 64], 'float32'),
    operands.random([1024, 64], 'float32'),
  ];
  const positions = operands.integers(Array.from({ length: rows }, (_, row) => row % 1024));
  report(
    await measure(device, 'rope', { bytes: 2 * bytes }, () =>
      kernels.rope({ x, out: y, cos, sin, positions, heads: 28 }),
    ),
  );
  report(await measure(device, 'add', { bytes: 3 * bytes }, () => kernels.add({ x, out: y })));
  report(
    await measure(device, 'addBias', { bytes: 2 * bytes }, () =>
      kernels.addBias({ bias: weight, out: y }),
    ),
  );
  report(
    await measure(device, 'scale', { bytes: 2 * bytes }, () =>
      kernels.scale({ x, scale: weight, along: 'columns', out: y }),
    ),
  );
  report(await measure(device, 'fill', { bytes }, () => kernels.fill({ out: y, value: 1 })));
  const wide = operands.empty([rows, width], 'float32');
  report(
    await measure(device, 'cast bfloat16 to float32', { bytes: 3 * bytes }, () =>
      kernels.cast({ x, out: wide }),
    ),
  );
  report(
    await measure(device, 'gatherRows', { bytes: 2 * bytes }, () =>
      kernels.gatherRows({ table: x, rows: positions, out: y }),
    ),
  );
  const [gate, up, out] = [
    operands.random([2048, inner]),
    operands.random([2048, inner]),
    operands.random([2048, inner]),
  ];
  const innerBytes = 2 * 2048 * inner;
  report(
    await measure(device, 'gatedActivation', { bytes: 3 * innerBytes }, () =>
      kernels.gatedActivation({ gate, up, kind: 'silu', out }),
    ),
  );
  report(
    await measure(device, 'gatedActivationBackward', { bytes: 5 * innerBytes }, () =>
      kernels.gatedActivationBackward({ dOut: out, gate, up, kind: 'silu', dGate: gate, dUp: up }),
    ),
  );
  report(
    await measure(device, 'activation gelu', { bytes: 2 * innerBytes }, () =>
      kernels.activation({ x: gate, kind: 'gelu', out }),
    ),
  );
  await benchSequenceKernels(device, operands, report);
  const logits = operands.random([1024, vocabulary]);
  const targets = operands.integers(Array.from({ length: 1024 }, (_, row) => row * 7));
  const [loss, prediction] = [operands.empty([1024], 'float32'), operands.empty([1024], 'int32')];
  const entropy = { logits, targets, loss, prediction };
  report(
    await measure(device, 'crossEntropy', { bytes: 2 * 1024 * vocabulary }, () =>
      kernels.crossEntropy(entropy),
    ),
  );
  report(
    await measure(device, 'crossEntropy with gradient', { bytes: 6 * 1024 * vocabulary }, () =>
      kernels.crossEntropy({ ...entropy, gradientScale: 1 }),
    ),
  );
};

/** Kernels of models whose norms have means and whose blocks are modulated. */
const benchSequenceKernels: Group = async (device, operands, report) => {
  const { kernels } = device;
  const [rows, width] = [4608, 3072];
  const bytes = 2 * rows * width;
  const [x, y, dX] = [0, 1, 2].map(() => operands.random([rows, width])) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  const [mean, inverseStd] = [operands.empty([rows], 'float32'), operands.empty([rows], 'float32')];
  const norm = { x, weight: null, bias: null, epsilon: 1e-6, out: y, mean, inverseStd };
  report(await measure(device, 'layerNorm', { bytes: 2 * bytes }, () => kernels.layerNorm(norm)));
  report(
    await measure(device, 'layerNormBackward', { bytes: 3 * bytes }, () =>
      kernels.layerNormBackward({ dOut: y, x, weight: null, mean, inverseStd, dX }),
    ),
  );
  const heads = { x: x.reshape([rows * 24, 128]), out: y.reshape([rows * 24, 128]) };
  const inverseRms = operands.empty([rows * 24], 'float32');
  report(
    await measure(device, 'rmsNorm of heads', { bytes: 2 * bytes }, () =>
      kernels.rmsNorm({ ...heads, weight: null, epsilon: 1e-6, inverseRms }),
    ),
  );
  const sequences = operands.sequences([rows]);
  const [scale, shift] = [operands.random([1, width]), operands.random([1, width])];
  report(
    await measure(device, 'modulate', { bytes: 2 * bytes }, () =>
      kernels.modulate({ x, scale, shift, sequences, out: y }),
    ),
  );
  report(
    await measure(device, 'modulateBackward with sums', { bytes: 5 * bytes }, () =>
      kernels.modulateBackward({
        dOut: y,
        x,
        scale,
        sequences,
        dX,
        dScale: scale,
        dShift: shift,
      }),
    ),
  );
  report(
    await measure(device, 'gatedAdd', { bytes: 3 * bytes }, () =>
      kernels.gatedAdd({ x, gate: scale, sequences, out: y }),
    ),
  );
};

/** Kernels of encoders of text and of images of 512 x 512 and 1024 x 1024 pixels. */
const benchImageCoders: Group = async (device, operands, report) => {
  const { kernels } = device;
  const [side, channels] = [512, 128];
  const pixels = side * side;
  const [x, y] = [operands.random([pixels, channels]), operands.random([pixels, channels])];
  const [weight, bias] = [operands.random([channels]), operands.random([channels])];
  const sequences = operands.sequences([pixels]);
  const norm = { ...{ x, weight, bias, sequences, out: y }, groups: 32, epsilon: 1e-6 };
  report(
    await measure(device, 'groupNorm with silu', { bytes: 3 * x.byteLength }, () =>
      kernels.groupNorm({ ...norm, activation: 'silu' }),
    ),
  );
  const rows = 2 ** 14;
  const patches = operands.random([rows, 9 * channels]);
  const image = { x, height: side, width: side, size: 3, stride: 1, before: 1, outWidth: side };
  report(
    await measure(device, 'gatherPatches', { bytes: patches.byteLength }, () =>
      kernels.gatherPatches({ ...image, first: side, out: patches }),
    ),
  );
  const filters = operands.random([channels, 9 * channels]);
  const convolved = y.rows(0, rows);
  report(
    await measure(
      device,
      'gatherPatches and gemm, 3 x 3, 128 channels',
      { flops: 2 * rows * 9 * channels ** 2 },
      () => {
        kernels.gatherPatches({ ...image, first: side, out: patches });
        kernels.gemm({ a: patches, b: filters, transposeB: true, out: convolved });
      },
    ),
  );
  for (const [heads, headDim, length, reach] of [
    [1, 512, 4096, null],
    [1, 512, 16_384, null],
    [64, 64, 512, 128],
  ] as const) {
    const [q, k, v, out] = Array.from({ length: 4 }, () =>
      operands.random([length, heads * headDim]),
    ) as [Tensor, Tensor, Tensor, Tensor];
    const relativeBias = reach === null ? undefined : operands.random([2 * reach + 1, heads]);
    const options = {
      ...{ q, k, v, out, heads, kvHeads: heads, scale: headDim ** -0.5, relativeBias },
      ...{ sequences: operands.sequences([length]), mask: { kind: 'none' } as const },
      logSumExp: operands.empty([heads, length], 'float32'),
    };
    const label = `${length} rows, ${heads} heads of ${headDim}, mask none${reach ? ', bias' : ''}`;
    report(
      await measure(
        device,
        `attention ${label}`,
        { flops: 4 * heads * headDim * length ** 2 },
        () => kernels.attention(options),
      ),
    );
  }
};

const benchOptimizer: Group = async (device, operands, report) => {
  const shapes = Array.from({ length: 28 }, () =>
    [3584, 512, 512, 3584, 18944, 18944, 3584].flatMap((width) => [
      [8, 3584],
      [width, 8],
    ]),
  ).flat();
  const lists = Array.from({ length: 4 }, () =>
    shapes.map((shape) => operands.random(shape, 'float32')),
  );
  const [parameters, gradients, firstMoments, secondMoments] = lists as [
    Tensor[],
    Tensor[],
    Tensor[],
    Tensor[],
  ];
  const count = parameters.reduce((sum, { size }) => sum + size, 0);
  const squaredGradientNorms = operands.empty([gradients.length], 'float32');
  report(
    await measure(device, `squaredNorms of ${shapes.length} tensors`, { bytes: 4 * count }, () =>
      device.kernels.squaredNorms({ tensors: gradients, out: squaredGradientNorms }),
    ),
  );
  report(
    await measure(device, `adamw of ${shapes.length} tensors`, { bytes: 28 * count }, () =>
      device.kernels.adamw({
        parameters,
        gradients,
        firstMoments,
        secondMoments,
        squaredGradientNorms,
        maxGradientNorm: 1,
        learningRate: 1e-4,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weightDecay: 0,
        step: 1,
      }),
    ),
  );
  const tiny = operands.random([8], 'float32');
  report(
    await measure(device, 'launch of a tiny kernel', {}, () =>
      device.kernels.fill({ out: tiny, value: 1 }),
    ),
  );
};

/** Copies of 1 GiB from page-locked and pageable memory, with and without conversion, and back. */
export async function benchmarkCopies(
  device: Device,
  report: (line: Measurement) => void,
): Promise<void> {
  const bytes = 2 ** 30;
  const operands = new Operands(device);
  const [pinned, tensor] = [device.allocateHost(bytes), operands.empty([bytes / 4], 'float32')];
  pinned.bytes.fill(1);
  const source = { bytes: pinned.bytes, dtype: 'float32' as const };
  const once = async (name: string, work: () => void | Promise<void>, moved = bytes) => {
    const times = [];
    for (let i = 0; i < 4; i += 1) {
      const start = performance.now();
      await work();
      await device.synchronize();
      times.push(performance.now() - start);
    }
    const ms = Math.min(...times);
    report({ name, ms, rate: moved / ms / 1e6, unit: 'GB/s' });
  };
  await once('upload, page-locked, copy stream', () => device.upload(tensor, source, 'copy'));
  const pageable = { bytes: new Uint8Array(bytes / 4).fill(1), dtype: 'float32' as const };
  await once(
    'upload, pageable',
    () => device.upload(tensor.rows(0, bytes / 16), pageable),
    bytes / 4,
  );
  const half = operands.empty([bytes / 4], 'bfloat16');
  await once('upload, page-locked, float32 to bfloat16', () => device.upload(half, source, 'copy'));
  await once('download, page-locked', () => device.downloadBytes(tensor, pinned.bytes));
  pinned.dispose();
  operands.dispose();
}

/** eigh and cholesky of a well-conditioned random statistic, first and later calls. */
export async function benchmarkFactorizations(
  device: Device,
  report: (line: Measurement) => void,
): Promise<void> {
  for (const dtype of ['float32', 'float64'] as const) {
    for (const n of [512, 3584, 5120]) await factorize(device, n, dtype, report);
  }
}

async function factorize(
  device: Device,
  n: number,
  dtype: 'float32' | 'float64',
  report: (line: Measurement) => void,
): Promise<void> {
  const operands = new Operands(device);
  const x = operands.random([n + 64, n]);
  const [a, values] = [operands.empty([n, n], dtype), operands.empty([n], dtype)];
  for (const [name, flops, run] of [
    ['eigh', 9 * n ** 3, () => device.kernels.eigh({ a, values })],
    ['cholesky', n ** 3 / 3, () => device.kernels.cholesky({ a })],
  ] as const) {
    const times = [];
    for (let i = 0; i < 3; i += 1) {
      device.kernels.fill({ out: a, value: 0 });
      device.kernels.gram({ x, out: a });
      await device.synchronize();
      const start = performance.now();
      await run();
      times.push(performance.now() - start);
    }
    const ms = Math.min(...times);
    report({
      name: `${name} ${n} ${dtype} (first call ${at(times, 0).toFixed(0)} ms)`,
      ms,
      rate: flops / ms / 1e9,
      unit: 'TFLOP/s',
    });
  }
  operands.dispose();
}
