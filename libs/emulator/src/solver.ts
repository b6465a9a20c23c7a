import type { DeviceProfile, Tensor } from '@emloc/device';

import { subspaceColumns } from './subspace.js';

/**
 * How the factors of a weight are found: `full` by the whole eigenproblem in the device's
 * statistics dtype; in float32 throughout, with a check, `float32` by the whole eigenproblem and
 * `subspace` by iteration.
 */
export type Solver = 'full' | 'float32' | 'subspace';

/** What may be chosen. */
export const factorsChoices = Object.freeze(['auto', 'exact', 'fast'] as const);
export type FactorsChoice = (typeof factorsChoices)[number];

/** Smaller eigenproblems take no time worth saving. */
const smallestAutoSide = 512;
/**
 * On devices that factorize float32 themselves, measured on an H200: iteration takes 0.4 to 0.5 of
 * the time at ranks of a twentieth to a twelfth of the side, as much at an eighth, 1.6 times at a
 * fifth; at a side of 512 always more.
 */
const ownFactorizations = { smallestAutoSide: 1024, sidesPerRank: 10 };

/**
 * `exact` is `full`; `fast` is `subspace` where iteration costs less than half of the whole
 * problem, else `float32`; `auto` is `subspace` where that is cheaper and the side 512 or more,
 * else `full`; on devices that factorize float32 themselves `subspace` for ranks of at most a tenth
 * of a side of 1024 or more.
 */
export function solverFor(
  choice: FactorsChoice,
  {
    profile,
    weight,
    rank,
    gradient,
  }: {
    readonly profile: DeviceProfile;
    readonly weight: Tensor;
    readonly rank: number;
    readonly gradient?: unknown;
  },
): Solver {
  const [out, inFeatures] = [weight.dim(0), weight.dim(1)];
  const side = Math.min(out, inFeatures);
  if (choice === 'exact') return 'full';
  if (choice === 'auto' && !isWorthIterating(profile, { side, rank })) return 'full';
  const hasMetric = Boolean(gradient) || out > inFeatures;
  if (isSubspaceCheaper({ side, rank, hasMetric })) return 'subspace';
  return choice === 'auto' ? 'full' : 'float32';
}

/** For `auto`, beside the count of operations: whether there is time to save. */
function isWorthIterating(
  { factorizesFloat32 }: DeviceProfile,
  { side, rank }: { readonly side: number; readonly rank: number },
): boolean {
  if (!factorizesFloat32) return side >= smallestAutoSide;
  return (
    side >= ownFactorizations.smallestAutoSide && rank * ownFactorizations.sidesPerRank <= side
  );
}

/** What one operation of a factorisation costs, in operations of products. */
const factorizationCost = 8;
/** Of iteration: rounds, and products with S and N of each, as most spectra take. */
const usual = { rounds: 4, applications: 4 };

/**
 * Whether iteration costs less than half of the whole eigenproblem, by counted operations: 9 n³ of
 * the whole; each round's products with S (and N), ten of columns with columns, and two
 * eigenproblems of as many columns.
 */
function isSubspaceCheaper({
  side,
  rank,
  hasMetric,
}: {
  readonly side: number;
  readonly rank: number;
  readonly hasMetric: boolean;
}): boolean {
  const columns = subspaceColumns(rank, side);
  const applied = usual.applications * (hasMetric ? 2 : 1) * 2 * side ** 2 * columns;
  const products = applied + 10 * side * columns ** 2;
  const round = products + factorizationCost * 2 * 9 * columns ** 3;
  return usual.rounds * round < (factorizationCost * 9 * side ** 3) / 2;
}
