import type { Kernels, LaunchedKernels } from '@emloc/device';

import type { TfjsContext } from '../context.js';
import { deviceErrorOf } from '../device-error.js';
import { refusals } from '../missing-kernels.js';
import { activation, activationBackward } from './activation.js';
import { adamw } from './adamw.js';
import { addBias } from './add-bias.js';
import { add } from './add.js';
import { attention, attentionBackward } from './attention.js';
import { cast } from './cast.js';
import { cholesky } from './cholesky.js';
import { copyBlocks } from './copy-blocks.js';
import { crossEntropy } from './cross-entropy.js';
import { decodeAttention } from './decode-attention.js';
import { dequantize } from './dequantize.js';
import { doraGate, doraGateBackward } from './dora-gate.js';
import { dropout } from './dropout.js';
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
import { solveTriangular } from './solve-triangular.js';
import { squaredNorms } from './squared-norms.js';

/** All kernels; what a launch makes on the way is gone when it returns. */
export function createKernels(context: TfjsContext): Kernels {
  const launched =
    <Options>(
      name: keyof LaunchedKernels,
      kernel: (context: TfjsContext, options: Options) => void,
    ) =>
    (options: Options): void => {
      try {
        context.tf.tidy(() => kernel(context, options));
      } catch (error) {
        throw deviceErrorOf(name, error);
      }
    };
  return {
    ...refusals(),
    gemm: launched('gemm', gemm),
    rmsNorm: launched('rmsNorm', rmsNorm),
    rmsNormBackward: launched('rmsNormBackward', rmsNormBackward),
    layerNorm: launched('layerNorm', layerNorm),
    layerNormBackward: launched('layerNormBackward', layerNormBackward),
    groupNorm: launched('groupNorm', groupNorm),
    rope: launched('rope', rope),
    attention: launched('attention', attention),
    attentionBackward: launched('attentionBackward', attentionBackward),
    decodeAttention: launched('decodeAttention', decodeAttention),
    activation: launched('activation', activation),
    activationBackward: launched('activationBackward', activationBackward),
    gatedActivation: launched('gatedActivation', gatedActivation),
    gatedActivationBackward: launched('gatedActivationBackward', gatedActivationBackward),
    gatherRows: launched('gatherRows', gatherRows),
    gatherPatches: launched('gatherPatches', gatherPatches),
    scatterRows: launched('scatterRows', scatterRows),
    copyBlocks: launched('copyBlocks', copyBlocks),
    outerProducts: launched('outerProducts', outerProducts),
    crossEntropy: launched('crossEntropy', crossEntropy),
    add: launched('add', add),
    addBias: launched('addBias', addBias),
    fill: launched('fill', fill),
    cast: launched('cast', cast),
    dequantize: launched('dequantize', dequantize),
    scale: launched('scale', scale),
    scaleBy: launched('scaleBy', scaleBy),
    dropout: launched('dropout', dropout),
    doraGate: launched('doraGate', doraGate),
    doraGateBackward: launched('doraGateBackward', doraGateBackward),
    modulate: launched('modulate', modulate),
    modulateBackward: launched('modulateBackward', modulateBackward),
    gatedAdd: launched('gatedAdd', gatedAdd),
    gatedAddBackward: launched('gatedAddBackward', gatedAddBackward),
    mseLoss: launched('mseLoss', mseLoss),
    squaredNorms: launched('squaredNorms', squaredNorms),
    adamw: launched('adamw', adamw),
    prodigyMoments: launched('prodigyMoments', prodigyMoments),
    prodigyUpdate: launched('prodigyUpdate', prodigyUpdate),
    gram: launched('gram', gram),
    eigh: (options) => eigh(context, options),
    cholesky: (options) => cholesky(context, options),
    solveTriangular: (options) => solveTriangular(context, options),
  };
}
