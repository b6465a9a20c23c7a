import type { DeviceProfile, Tensor } from '@emloc/device';

import { subspaceColumns } from './subspace.js';

/**
 * How the factors of a weight are found: `full` by the whole eigenproblem in the device's
 * statistics dtype; with a check, `subspace` by iteration and `float32` by the whole eigenproblem
 * in that dtype.
 */
export type Solver = 'full' | 'float32' | 'subspace';

/** What may be chosen. */
export const factorsChoices = Object.freeze(['auto', 'exact', 'fast'] as const);
export type FactorsChoice = (typeof factorsChoices)[number];

/** Smaller eigenproblems take no time worth saving. */
const smallestAutoSide = { onHost: 512, ownFactorizations: 1024 };

interface Question {
  readonly profile: DeviceProfile;
  readonly weight: Tensor;
  readonly rank: number;
  readonly gradient?: unknown;
}

/**
 * `exact` is `full`; `fast` is `subspace` where iteration costs less than half of the whole
 * problem, else `float32`; `auto` is `subspace` where that is cheaper and the side large enough,
 * else `full`.
 */
export function solverFor(choice: FactorsChoice, question: Question): Solver {
  if (choice === 'exact') return 'full';
  const isCheaper = isSubspaceCheaper(choice, question);
  if (choice === 'auto') return isCheaper ? 'subspace' : 'full';
  return isCheaper ? 'subspace' : 'float32';
}

/**
 * What iteration computes in: float32 where float64 was not to be used, or is slower; else the
 * dtype of statistics, whose digits save rounds.
 */
export function iterationDType(
  choice: FactorsChoice,
  { hasFastFloat64 = false, statisticsDType }: DeviceProfile,
): 'float32' | 'float64' {
  return choice === 'auto' && hasFastFloat64 ? statisticsDType : 'float32';
}

function isSubspaceCheaper(
  choice: FactorsChoice,
  { profile, weight, rank, gradient }: Question,
): boolean {
  const [out, inFeatures] = [weight.dim(0), weight.dim(1)];
  const side = Math.min(out, inFeatures);
  const columns = subspaceColumns(rank, side);
  const isOwn = choice === 'auto' && profile.factorizesFloat32 === true;
  const smallest = isOwn ? smallestAutoSide.ownFactorizations : smallestAutoSide.onHost;
  if (choice === 'auto' && side < smallest) return false;
  const hasMetric = Boolean(gradient) || out > inFeatures;
  return isOwn
    ? eigenproblemsOfIteration * ownMilliseconds(columns) < ownMilliseconds(side)
    : isLessArithmetic({ side, columns, hasMetric });
}

/**
 * What cuSOLVER takes for all eigenvectors of order n, float32 or float64, in milliseconds on an
 * H200: 3.3 for 368, 14 for 1280, 26 for 2048, 81 for 3584. A tridiagonalisation is a launch a
 * column until it no longer fits the cache.
 */
function ownMilliseconds(n: number): number {
  return n / 100 + (n / 1000) ** 3;
}

/** Two, and what products and Cholesky factors of as many columns take beside them. */
const eigenproblemsOfIteration = 3.8;

/** What one operation of a factorisation costs, in operations of products. */
const factorizationCost = 8;
/** Of iteration: rounds, and products with S and N of each, as most spectra take. */
const usual = { rounds: 3, applications: 5 };

/**
 * Whether iteration costs less than half of the whole eigenproblem, by counted operations: 9 n³ of
 * the whole; each round's products with S (and N), 15 of columns with columns, and an eigenproblem
 * of as many columns.
 */
function isLessArithmetic({
  side,
  columns,
  hasMetric,
}: {
  readonly side: number;
  readonly columns: number;
  readonly hasMetric: boolean;
}): boolean {
  const applied = usual.applications * (hasMetric ? 2 : 1) * 2 * side ** 2 * columns;
  const products = applied + 15 * side * columns ** 2;
  const round = products + factorizationCost * 9 * columns ** 3;
  return usual.rounds * round < (factorizationCost * 9 * side ** 3) / 2;
}
