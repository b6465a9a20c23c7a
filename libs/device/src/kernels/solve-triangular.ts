import { assertLive, assertShape, matrix } from '../checks.js';
import type { Factorization } from '../kernel.js';
import { symmetricProbe } from '../probe.js';
import type { Tensor } from '../tensor.js';
import { bytesOf } from '../work.js';

/** x ← x L⁻ᵀ, in place. */
export interface SolveTriangularOptions {
  /** (m, n) in float32 or the profile's statistics dtype; overwritten. */
  readonly x: Tensor;
  /**
   * L (n, n), same dtype, lower triangular with no zero on its diagonal; what is above is not
   * read.
   */
  readonly l: Tensor;
}

/** Counted as m n² (Golub and Van Loan, Matrix Computations, 3.1). */
export const solveTriangular: Factorization<SolveTriangularOptions, void> = {
  work({ x, l }) {
    const [rows, n] = matrix('solveTriangular', x);
    assertLive(x, l);
    assertShape('solveTriangular', l, [n, n]);
    return { flops: rows * n ** 2, bytes: bytesOf(x, x, l) };
  },
  planned: undefined,
  probe: {
    boundBy: 'arithmetic',
    prepare: (operands, shape) => {
      const { a: l, order, renew } = symmetricProbe(operands, shape);
      renew();
      return { options: { x: operands.tensor([order, order], operands.statisticsDType), l } };
    },
  },
};
