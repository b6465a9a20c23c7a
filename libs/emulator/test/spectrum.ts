import type { GradientStatistic, LayerStatistic } from '../src/statistics.js';
import {
  combine,
  createNormal,
  matrix,
  multiply,
  trace,
  transpose,
  type Matrix,
} from './matrix.js';

/** A weight with statistics, and what of its outputs counts: errors are tr(Ô D Ĝ Dᵀ). */
export interface SpectrumProblem {
  readonly w: Matrix;
  readonly statistic: LayerStatistic;
  readonly gradient: GradientStatistic | null;
  /** Ô; null: I */
  readonly outputs: Matrix | null;
  /** Ĝ but for its damping */
  readonly inputs: Matrix;
}

export interface SpectrumOptions {
  /** λ of the problem, as many as its smaller side has. */
  readonly lambda: readonly number[];
  readonly form: 'wide' | 'tall';
  readonly metric: 'output' | 'loss';
}

/**
 * A problem with these λ: W is diagonal and zero beyond its smaller side, O is diagonal, and G is
 * what makes Ô^½ W G Wᵀ Ô^½ a matrix of these eigenvalues with random eigenvectors.
 */
export function problemOfSpectrum({ lambda, form, metric }: SpectrumOptions): SpectrumProblem {
  const side = lambda.length;
  const longer = side + 24;
  const [out, inFeatures] = form === 'wide' ? [side, longer] : [longer, side];
  const diagonal = (row: number): number => Math.fround(0.5 + (row % 7) / 4);
  const w = matrix(out, inFeatures, (row, column) => (row === column ? diagonal(row) : 0));
  const weights = matrix(out, out, (row, column) => (row === column ? 4 ** -(row % 4) : 0));
  const damping = (1e-3 * trace(weights)) / out;
  const weightOf = (row: number): number => (metric === 'loss' ? 4 ** -(row % 4) + damping : 1);
  const target = symmetricOf(lambda);
  const g = matrix(inFeatures, inFeatures, (row, column) =>
    row < side && column < side
      ? (target.values[row * side + column] as number) /
        (diagonal(row) * diagonal(column) * Math.sqrt(weightOf(row) * weightOf(column)))
      : 0,
  );
  const statistics = form === 'wide' ? multiply(w, g, transpose(w)) : g;
  const gradients = form === 'wide' ? weights : multiply(transpose(w), weights, w);
  return {
    w,
    inputs: g,
    outputs:
      metric === 'loss'
        ? combine(
            weights,
            matrix(out, out, (i, j) => (i === j ? 1 : 0)),
            damping,
          )
        : null,
    statistic: {
      kind: form === 'wide' ? 'output' : 'input',
      linears: ['linear'],
      features: side,
      inFeatures,
      squaredNorm: trace(g),
      matrix: statistics.values,
    },
    gradient:
      metric === 'loss'
        ? {
            kind: form === 'wide' ? 'output' : 'input',
            linear: 'linear',
            features: side,
            outFeatures: out,
            squaredNorm: trace(weights),
            matrix: gradients.values,
          }
        : null,
  };
}

/** ‖Ô^½ (W − U V) G^½‖² */
export function errorOf({ w, inputs, outputs }: SpectrumProblem, approximation: Matrix): number {
  const difference = combine(w, approximation, -1);
  const seen = multiply(difference, inputs, transpose(difference));
  return trace(outputs ? multiply(outputs, seen) : seen);
}

/** A symmetric matrix of these eigenvalues: three random reflections around the diagonal. */
function symmetricOf(lambda: readonly number[]): Matrix {
  const n = lambda.length;
  const normal = createNormal(7);
  let a = matrix(n, n, (row, column) => (row === column ? (lambda[row] as number) : 0));
  for (let round = 0; round < 3; round += 1) {
    const v = Float64Array.from({ length: n }, normal);
    const square = v.reduce((sum, value) => sum + value * value, 0);
    const reflection = matrix(
      n,
      n,
      (row, column) =>
        (row === column ? 1 : 0) - (2 * (v[row] as number) * (v[column] as number)) / square,
    );
    a = multiply(reflection, a, reflection);
  }
  return matrix(n, n, (row, column) => {
    const [one, other] = [a.values[row * n + column], a.values[column * n + row]];
    return ((one as number) + (other as number)) / 2;
  });
}
