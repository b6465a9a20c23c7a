import type { Kernels, LaunchedKernels } from '@emloc/device';

import type { TfjsContext } from '../context.js';
import { deviceErrorOf } from '../device-error.js';
import { adamw } from './adamw.js';
import { attention, attentionBackward } from './attention.js';
import { crossEntropy } from './cross-entropy.js';
import { add, addBias, cast, fill, scale, squaredNorms } from './elementwise.js';
import { cholesky, eigh } from './factorizations.js';
import { gemm, gram, outerProducts } from './gemm.js';
import { rmsNorm, rmsNormBackward } from './rms-norm.js';
import { rope } from './rope.js';
import { copyBlocks, embedding, scatterRows } from './rows.js';
import { swiglu, swigluBackward } from './swiglu.js';

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
    gemm: launched('gemm', gemm),
    rmsNorm: launched('rmsNorm', rmsNorm),
    rmsNormBackward: launched('rmsNormBackward', rmsNormBackward),
    rope: launched('rope', rope),
    attention: launched('attention', attention),
    attentionBackward: launched('attentionBackward', attentionBackward),
    swiglu: launched('swiglu', swiglu),
    swigluBackward: launched('swigluBackward', swigluBackward),
    embedding: launched('embedding', embedding),
    scatterRows: launched('scatterRows', scatterRows),
    copyBlocks: launched('copyBlocks', copyBlocks),
    outerProducts: launched('outerProducts', outerProducts),
    crossEntropy: launched('crossEntropy', crossEntropy),
    add: launched('add', add),
    addBias: launched('addBias', addBias),
    fill: launched('fill', fill),
    cast: launched('cast', cast),
    scale: launched('scale', scale),
    squaredNorms: launched('squaredNorms', squaredNorms),
    adamw: launched('adamw', adamw),
    gram: launched('gram', gram),
    eigh: (options) => eigh(context, options),
    cholesky: (options) => cholesky(context, options),
  };
}
