import { DeviceError, type KernelName, type KernelOptions, type Kernels } from '@emloc/device';

import type { CpuContext } from '../context.js';
import { cpuProfile } from '../profile.js';
import { activation, activationBackward } from './activation.js';
import { adamw } from './adamw.js';
import { addBias } from './add-bias.js';
import { add } from './add.js';
import { attentionBackward } from './attention-backward.js';
import { attention } from './attention.js';
import { cast } from './cast.js';
import { cholesky } from './cholesky.js';
import { copyBlocks } from './copy-blocks.js';
import { crossEntropy } from './cross-entropy.js';
import { decodeAttention } from './decode-attention.js';
import { eigh } from './eigh.js';
import { fill } from './fill.js';
import { gatedActivation, gatedActivationBackward } from './gated-activation.js';
import { gatedAdd, gatedAddBackward } from './gated-add.js';
import { gatherPatches } from './gather-patches.js';
import { gatherRows } from './gather-rows.js';
import { gemm } from './gemm.js';
import { gram } from './gram.js';
import { groupNorm } from './group-norm.js';
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
import { squaredNorms } from './squared-norms.js';

/** @throws DeviceError DEVICE_UNSUPPORTED when the kernel is launched */
const missing = (kernel: KernelName) => (): never => {
  throw new DeviceError('DEVICE_UNSUPPORTED', `cpu device: it has no ${kernel}`);
};

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
    causalConvolution: missing('causalConvolution'),
    causalConvolutionBackward: missing('causalConvolutionBackward'),
    l2Norm: missing('l2Norm'),
    l2NormBackward: missing('l2NormBackward'),
    deltaGates: missing('deltaGates'),
    deltaGatesBackward: missing('deltaGatesBackward'),
    gatedDeltaRule: missing('gatedDeltaRule'),
    gatedDeltaRuleBackward: missing('gatedDeltaRuleBackward'),
    activation: scratched('activation', activation),
    activationBackward: scratched('activationBackward', activationBackward),
    gatedActivation: scratched('gatedActivation', gatedActivation),
    gatedActivationBackward: scratched('gatedActivationBackward', gatedActivationBackward),
    crossEntropy: scratched('crossEntropy', crossEntropy),
    groupNorm: scratched('groupNorm', groupNorm),
    rmsNorm,
    rmsNormBackward,
    layerNorm,
    layerNormBackward,
    rope,
    gatherRows,
    gatherPatches,
    scatterRows,
    copyBlocks,
    add,
    addBias,
    fill,
    cast,
    scale,
    scaleBy,
    modulate,
    modulateBackward,
    gatedAdd,
    gatedAddBackward,
    mseLoss,
    squaredNorms,
    adamw,
    prodigyMoments,
    prodigyUpdate,
    eigh: (options) => eigh(context, options),
    cholesky: (options) => cholesky(context, options),
  };
}
