import type { KernelName, KernelOptions, Kernels } from '@emloc/device';

import type { CpuContext } from '../context.js';
import { cpuProfile } from '../profile.js';
import { activation, activationBackward } from './activation.js';
import { adamw } from './adamw.js';
import { addBias } from './add-bias.js';
import { add } from './add.js';
import { attentionBackward } from './attention-backward.js';
import { attention } from './attention.js';
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
import { gatedDeltaRuleBackward } from './gated-delta-rule-backward.js';
import { gatedDeltaRule } from './gated-delta-rule.js';
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

/** All kernels; those that need scratch get what the profile declares for them, and no more. */
export function createKernels(context: CpuContext): Kernels {
  const scratched =
    <K extends KernelName>(
      name: K,
      kernel: (context: CpuContext, options: KernelOptions<K>) => void,
    ) =>
    (options: KernelOptions<K>): void =>
      context.scratch.run(cpuProfile.workspaceBytes[name]?.(options) ?? 0, () =>
        kernel(context, options),
      );
  return {
    gemm: scratched('gemm', gemm),
    outerProducts: scratched('outerProducts', outerProducts),
    gram: scratched('gram', gram),
    attention: scratched('attention', attention),
    attentionBackward: scratched('attentionBackward', attentionBackward),
    decodeAttention: scratched('decodeAttention', decodeAttention),
    causalConvolution: scratched('causalConvolution', causalConvolution),
    causalConvolutionBackward: scratched('causalConvolutionBackward', causalConvolutionBackward),
    gatedDeltaRule: scratched('gatedDeltaRule', gatedDeltaRule),
    gatedDeltaRuleBackward: scratched('gatedDeltaRuleBackward', gatedDeltaRuleBackward),
    activation: scratched('activation', activation),
    activationBackward: scratched('activationBackward', activationBackward),
    gatedActivation: scratched('gatedActivation', gatedActivation),
    gatedActivationBackward: scratched('gatedActivationBackward', gatedActivationBackward),
    crossEntropy: scratched('crossEntropy', crossEntropy),
    groupNorm: scratched('groupNorm', groupNorm),
    l2Norm,
    l2NormBackward,
    deltaGates,
    deltaGatesBackward,
    rmsNorm: scratched('rmsNorm', rmsNorm),
    rmsNormBackward: scratched('rmsNormBackward', rmsNormBackward),
    layerNorm: scratched('layerNorm', layerNorm),
    layerNormBackward: scratched('layerNormBackward', layerNormBackward),
    rope: scratched('rope', rope),
    gatherRows,
    gatherPatches,
    scatterRows,
    copyBlocks,
    add: scratched('add', add),
    addBias: scratched('addBias', addBias),
    fill,
    cast,
    dequantize,
    scale: scratched('scale', scale),
    scaleBy,
    dropout: scratched('dropout', dropout),
    doraGate,
    doraGateBackward,
    modulate,
    modulateBackward,
    gatedAdd,
    gatedAddBackward,
    mseLoss,
    squaredNorms: scratched('squaredNorms', squaredNorms),
    adamw: scratched('adamw', adamw),
    prodigyMoments,
    prodigyUpdate,
    eigh: (options) => eigh(context, options),
    cholesky: (options) => cholesky(context, options),
    solveTriangular: (options) => solveTriangular(context, options),
  };
}
