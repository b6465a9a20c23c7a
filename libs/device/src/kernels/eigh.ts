import { assertLive, assertShape, matrix } from '../checks.js';
import type { Factorization } from '../kernel.js';
import { symmetricProbe } from '../probe.js';
import type { Tensor } from '../tensor.js';
import { bytesOf } from '../work.js';

/** Symmetric eigenproblem, in place. */
export interface EighOptions {
  /**
   * (n, n) in float32 or the profile's statistics dtype, symmetric; overwritten: ROW i is the eigenvector of
   * values[i].
   */
  readonly a: Tensor;
  /** (n), same dtype: eigenvalues, ascending. */
  readonly values: Tensor;
}

/** Counted as 9 n³ (Golub and Van Loan, Matrix Computations, 8.3). */
export const eigh: Factorization<EighOptions, void> = {
  work({ a, values }) {
    const [n] = matrix('eigh', a);
    assertLive(a, values);
    assertShape('eigh', a, [n, n]);
    assertShape('eigh', values, [n]);
    return { flops: 9 * n ** 3, bytes: bytesOf(a, a, values) };
  },
  planned: undefined,
  probe: {
    boundBy: 'arithmetic',
    prepare: (operands, shape) => {
      const { a, order, renew } = symmetricProbe(operands, shape);
      return { options: { a, values: operands.tensor([order], operands.statisticsDType) }, renew };
    },
  },
};
