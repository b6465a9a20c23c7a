import type { KernelName, KernelOptions } from '@emloc/device';

import type { CudaContext } from '../context.js';
import { activation, activationBackward } from './activation.js';
import { adamw } from './adamw.js';
import { addBias } from './add-bias.js';
import { add } from './add.js';
import { attention, attentionBackward } from './attention.js';
import { cast } from './cast.js';
import { causalConvolution, causalConvolutionBackward } from './causal-convolution.js';
import { cholesky } from './cholesky.js';
import { copyBlocks } from './copy-blocks.js';
import { crossEntropy } from './cross-entropy.js';
import { decodeAttention } from './decode-attention.js';
import { deltaGates, deltaGatesBackward } from './delta-gates.js';
import { dequantize } from './dequantize.js';
import { doraGate, doraGateBackward } from './dora-gate.js';
import { dropout } from './dropout.js';
import { eigh } from './eigh.js';
import { fill } from './fill.js';
import { gatedActivation, gatedActivationBackward } from './gated-activation.js';
import { gatedAdd, gatedAddBackward } from './gated-add.js';
import { gatedDeltaRule, gatedDeltaRuleBackward } from './gated-delta-rule.js';
import { gatherPatches } from './gather-patches.js';
import { gatherRows } from './gather-rows.js';
import { gemm } from './gemm.js';
import { gram } from './gram.js';
import { groupNorm } from './group-norm.js';
import { l2Norm, l2NormBackward } from './l2-norm.js';
import { layerNorm, layerNormBackward } from './layer-norm.js';
import { modulate, modulateBackward } from './modulate.js';
import { mseLoss } from './mse-loss.js';
import { outerProducts } from './outer-products.js';
import { prodigyMoments } from './prodigy-moments.js';
import { prodigyUpdate } from './prodigy-update.js';
import { rmsNorm, rmsNormBackward } from './rms-norm.js';
import { rope } from './rope.js';
import { scaleBy } from './scale-by.js';
import { scale } from './scale.js';
import { scatterRows } from './scatter-rows.js';
import { solveTriangular } from './solve-triangular.js';
import { squaredNorms } from './squared-norms.js';

/** All kernels, of a context that is bound when they are launched. */
export const operations = {
  gemm,
  rmsNorm,
  rmsNormBackward,
  layerNorm,
  layerNormBackward,
  groupNorm,
  rope,
  attention,
  attentionBackward,
  decodeAttention,
  causalConvolution,
  causalConvolutionBackward,
  l2Norm,
  l2NormBackward,
  deltaGates,
  deltaGatesBackward,
  gatedDeltaRule,
  gatedDeltaRuleBackward,
  activation,
  activationBackward,
  gatedActivation,
  gatedActivationBackward,
  gatherRows,
  gatherPatches,
  scatterRows,
  copyBlocks,
  outerProducts,
  crossEntropy,
  mseLoss,
  add,
  addBias,
  fill,
  cast,
  dequantize,
  scale,
  scaleBy,
  dropout,
  doraGate,
  doraGateBackward,
  modulate,
  modulateBackward,
  gatedAdd,
  gatedAddBackward,
  squaredNorms,
  adamw,
  prodigyMoments,
  prodigyUpdate,
  gram,
  eigh,
  cholesky,
  solveTriangular,
} satisfies { [K in KernelName]: (context: CudaContext, options: KernelOptions<K>) => unknown };
