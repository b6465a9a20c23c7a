import { checkFactorizations } from './factorization-checks.js';
import type { Check, Lab } from './lab.js';
import { checkGemm, checkGram } from './product-checks.js';
import { checkRowKernels } from './row-checks.js';
import { checkCrossEntropy, checkOptimizer } from './training-checks.js';
import { checkUploads } from './upload-checks.js';

const computeDTypes = ['float32', 'bfloat16'] as const;

/** Every kernel but attention, at widths that take the wide and the narrow form. */
export function kernelChecks(): readonly Check[] {
  return [
    ...(['float32', 'bfloat16', 'float64'] as const).map((dtype) => ({
      name: `gemm ${dtype}`,
      run: (lab: Lab) => checkGemm(lab, dtype),
    })),
    ...(['float32', 'float64'] as const).map((dtype) => ({
      name: `gram into ${dtype}`,
      run: (lab: Lab) => checkGram(lab, dtype),
    })),
    ...computeDTypes.flatMap((dtype) =>
      [96, 33, 3584].map((width) => ({
        name: `row kernels ${dtype}, width ${width}`,
        run: (lab: Lab) => checkRowKernels(lab, dtype, width),
      })),
    ),
    ...computeDTypes.flatMap((dtype) =>
      [1000, 1003, 40_000].map((vocabulary) => ({
        name: `crossEntropy ${dtype} of ${vocabulary}`,
        run: (lab: Lab) => checkCrossEntropy(lab, dtype, vocabulary),
      })),
    ),
    { name: 'squaredNorms and adamw', run: checkOptimizer },
    ...(['float32', 'float64'] as const).map((dtype) => ({
      name: `eigh and cholesky ${dtype}`,
      run: (lab: Lab) => checkFactorizations(lab, dtype),
    })),
    { name: 'uploads with every conversion, to row views too', run: checkUploads },
  ];
}
