import type { Tensor } from '@emloc/device';

import { measure, type Group } from './bench-lab.js';

/** Kernels of encoders of text and of images of 512 x 512 and 1024 x 1024 pixels. */
export const benchImageCoders: Group = async (device, operands, report) => {
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
