import { assertLive, assertShape, matrix } from '../checks.js';
import type { Factorization } from '../kernel.js';
import { symmetricProbe } from '../probe.js';
import type { Tensor } from '../tensor.js';
import { bytesOf } from '../work.js';

/** Cholesky factor, in place. */
export interface CholeskyOptions {
  /**
   * (n, n) in float32 or the profile's statistics dtype, symmetric; overwritten by L with a = L Lᵀ,
   * zeros above the diagonal.
   */
  readonly a: Tensor;
}

/** Counted as n³ / 3 (Golub and Van Loan, Matrix Computations, 4.2). */
export const cholesky: Factorization<CholeskyOptions, boolean> = {
  work({ a }) {
    const [n] = matrix('cholesky', a);
    assertLive(a);
    assertShape('cholesky', a, [n, n]);
    return { flops: n ** 3 / 3, bytes: bytesOf(a, a) };
  },
  planned: true,
  probe: {
    boundBy: 'arithmetic',
    prepare: (operands, shape) => {
      const { a, renew } = symmetricProbe(operands, shape);
      return { options: { a }, renew };
    },
  },
};
