import type { KernelName, KernelOptions, Kernels } from '@emloc/device';

import type { CpuContext } from '../context.js';
import { cpuProfile } from '../profile.js';
import { adamw } from './adamw.js';
import { attentionBackward } from './attention-backward.js';
import { attention } from './attention.js';
import { copyBlocks } from './copy-blocks.js';
import { crossEntropy } from './cross-entropy.js';
import { add, addBias, cast, fill, scale, squaredNorms } from './elementwise.js';
import { cholesky, eigh } from './factorizations.js';
import { gemm } from './gemm.js';
import { gram } from './gram.js';
import { outerProducts } from './outer-products.js';
import { rmsNorm, rmsNormBackward } from './rms-norm.js';
import { rope } from './rope.js';
import { embedding, scatterRows } from './rows.js';
import { swiglu, swigluBackward } from './swiglu.js';

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
    swiglu: scratched('swiglu', swiglu),
    swigluBackward: scratched('swigluBackward', swigluBackward),
    crossEntropy: scratched('crossEntropy', crossEntropy),
    rmsNorm,
    rmsNormBackward,
    rope,
    embedding,
    scatterRows,
    copyBlocks,
    add,
    addBias,
    fill,
    cast,
    scale,
    squaredNorms,
    adamw,
    eigh: (options) => eigh(context, options),
    cholesky: (options) => cholesky(context, options),
  };
}
