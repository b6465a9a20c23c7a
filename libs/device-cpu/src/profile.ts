import type { DeviceProfile, KernelOptions, WorkspaceBytes } from '@emloc/device';

import { chunkScratchBytes } from './activations.js';
import { adamwScratchBytes } from './kernels/adamw.js';
import { addBiasScratchBytes } from './kernels/add-bias.js';
import { addScratchBytes } from './kernels/add.js';
import { attentionBackwardScratchBytes, attentionScratchBytes } from './kernels/attention-tiles.js';
import { decodeAttentionScratchBytes } from './kernels/decode-attention.js';
import { dropoutScratchBytes } from './kernels/dropout.js';
import {
  gatedActivationBackwardScratchBytes,
  gatedActivationScratchBytes,
} from './kernels/gated-activation.js';
import { gatedDeltaRuleBackwardScratchBytes } from './kernels/gated-delta-rule-backward.js';
import { gatedDeltaRuleScratchBytes } from './kernels/gated-delta-rule.js';
import { gramChunkRows } from './kernels/gram.js';
import { layerNormBackwardScratchBytes, layerNormScratchBytes } from './kernels/layer-norm.js';
import { wholeProduct } from './kernels/outer-products.js';
import { rmsNormBackwardScratchBytes, rmsNormScratchBytes } from './kernels/rms-norm.js';
import { ropeScratchBytes } from './kernels/rope.js';
import { scaleScratchBytes } from './kernels/scale.js';
import { squaredNormsScratchBytes } from './kernels/squared-norms.js';
import { eighWorkElements } from './native-blas.js';
import { productScratchBytes } from './portable/blocks.js';
import { scratchBytes } from './scratch.js';
import { widenedBytes } from './widened.js';

function gemmScratchBytes({ a, out, transposeA }: KernelOptions<'gemm'>): number {
  const [m, n] = [out.dim(0), out.dim(1)];
  const k = a.dim(transposeA ? 0 : 1);
  return m * n * k === 0 ? 0 : productScratchBytes(m, n, k, out.dtype === 'float64' ? 8 : 4);
}

/**
 * One profile for every library: what the portable code and LAPACK differ in is declared as the
 * larger of the two. What a BLAS keeps for itself inside the process (OpenBLAS: some 10 MiB a
 * thread) is not device memory.
 */
const workspaceBytes: WorkspaceBytes = Object.freeze({
  gemm: gemmScratchBytes,
  outerProducts: ({ products }: KernelOptions<'outerProducts'>) =>
    Math.max(
      0,
      ...products.map(wholeProduct).map((product) => (product ? gemmScratchBytes(product) : 0)),
    ),
  attention: (options: KernelOptions<'attention'>) => attentionScratchBytes(options, 1),
  attentionBackward: attentionBackwardScratchBytes,
  decodeAttention: decodeAttentionScratchBytes,
  causalConvolution: ({ weight }: KernelOptions<'causalConvolution'>) =>
    chunkScratchBytes(weight.dim(0), 1),
  causalConvolutionBackward: ({ weight }: KernelOptions<'causalConvolutionBackward'>) =>
    chunkScratchBytes(weight.dim(0), 1 + weight.dim(1)),
  gatedDeltaRule: gatedDeltaRuleScratchBytes,
  gatedDeltaRuleBackward: gatedDeltaRuleBackwardScratchBytes,
  gatedActivation: gatedActivationScratchBytes,
  gatedActivationBackward: gatedActivationBackwardScratchBytes,
  rmsNorm: rmsNormScratchBytes,
  rmsNormBackward: rmsNormBackwardScratchBytes,
  layerNorm: layerNormScratchBytes,
  layerNormBackward: layerNormBackwardScratchBytes,
  rope: ropeScratchBytes,
  add: addScratchBytes,
  addBias: addBiasScratchBytes,
  scale: scaleScratchBytes,
  squaredNorms: squaredNormsScratchBytes,
  adamw: adamwScratchBytes,
  dropout: dropoutScratchBytes,
  activation: ({ out }: KernelOptions<'activation'>) => chunkScratchBytes(out.size, 1),
  activationBackward: ({ x }: KernelOptions<'activationBackward'>) => chunkScratchBytes(x.size, 2),
  crossEntropy: ({ logits, softCap, gradientScale }: KernelOptions<'crossEntropy'>) =>
    (softCap !== undefined && gradientScale !== undefined ? 2 : 1) *
    scratchBytes(logits.dim(-1) * 4),
  groupNorm: ({ x, activation }: KernelOptions<'groupNorm'>) =>
    activation ? chunkScratchBytes(x.size, 1) : 0,
  gram: ({ x }: KernelOptions<'gram'>) => {
    const [rows, n] = [x.dim(0), x.dim(1)];
    const chunk = Math.min(rows, gramChunkRows);
    return chunk * n === 0 ? 0 : scratchBytes(chunk * n * 8) + productScratchBytes(n, n, chunk, 8);
  },
  eigh: ({ a, values }: KernelOptions<'eigh'>) =>
    eighWorkElements(values.size) * 8 +
    (3 + 5 * values.size) * 4 +
    widenedBytes(a) +
    widenedBytes(values),
  cholesky: ({ a }: KernelOptions<'cholesky'>) => widenedBytes(a),
  solveTriangular: ({ x, l }: KernelOptions<'solveTriangular'>) =>
    widenedBytes(x) + widenedBytes(l),
});

/** The CPU device as a planner sees it. */
export const cpuProfile: DeviceProfile = Object.freeze({
  name: 'cpu',
  computeDType: 'float32',
  statisticsDType: 'float64',
  allocationBytes: 64,
  rankMultiple: 1,
  reserveBytes: 0,
  workspaceBytes,
});
