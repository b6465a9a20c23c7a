import type { Device, Tensor } from '@emloc/device';

import { benchDelta } from './bench-delta.js';
import { benchImageCoders } from './bench-images.js';
import { Operands, type Measurement } from './bench-lab.js';
import { benchOptimizer } from './bench-optimizer.js';
import { benchAttention, benchGemm } from './bench-products.js';
import { benchElementwise } from './bench-rows.js';

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
