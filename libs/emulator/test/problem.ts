import type { Device, Tensor } from '@emloc/device';

import type { LayerStatistic } from '../src/statistics.js';
import {
  combine,
  identity,
  matrix,
  multiply,
  randomMatrix,
  trace,
  transpose,
  type Matrix,
} from './matrix.js';

/** A weight, the rows that it reads, and what they make. */
export interface TestProblem {
  readonly w: Matrix;
  readonly x: Matrix;
  readonly g: Matrix;
  /** Ĝ = G + δ (t / in) I */
  readonly damped: Matrix;
}

/**
 * W (out, in) and `tokens` correlated input rows whose features differ in size by five powers of
 * two.
 */
export function createProblem({
  out,
  inFeatures,
  tokens,
  seed,
}: {
  out: number;
  inFeatures: number;
  tokens: number;
  seed: number;
}): TestProblem {
  const single = (a: Matrix): Matrix => ({ ...a, values: a.values.map(Math.fround) });
  const w = single(randomMatrix(out, inFeatures, seed));
  const mixing = matrix(inFeatures, inFeatures, (row, column) =>
    row === column ? 2 ** -(row % 6) : 0.1 * Math.sin(row * column + seed),
  );
  const x = single(multiply(randomMatrix(tokens, inFeatures, seed + 1), mixing));
  return problemOf(w, x);
}

export function problemOf(w: Matrix, x: Matrix): TestProblem {
  const g = multiply(transpose(x), x);
  const damped = combine(g, identity(g.rows), (1e-7 * trace(g)) / g.rows);
  return { w, x, g, damped };
}

export function inputStatistic({ g }: TestProblem): LayerStatistic {
  return {
    kind: 'input',
    linears: ['linear'],
    features: g.rows,
    inFeatures: g.rows,
    squaredNorm: trace(g),
    matrix: g.values,
  };
}

export function outputStatistic({ w, g }: TestProblem): LayerStatistic {
  const { values } = multiply(w, g, transpose(w));
  return {
    kind: 'output',
    linears: ['linear'],
    features: w.rows,
    inFeatures: g.rows,
    squaredNorm: trace(g),
    matrix: values,
  };
}

/** ‖(W − W_E) Ĝ^½‖²_F */
export function outputError({ w, damped }: TestProblem, approximation: Matrix): number {
  const difference = combine(w, approximation, -1);
  return trace(multiply(difference, damped, transpose(difference)));
}

export function upload(device: Device, { rows, columns, values }: Matrix, label: string): Tensor {
  const host = {
    bytes: new Uint8Array(Float32Array.from(values).buffer),
    dtype: 'float32' as const,
  };
  return device.tensor(host, [rows, columns], device.profile.computeDType, 'weights', label);
}
