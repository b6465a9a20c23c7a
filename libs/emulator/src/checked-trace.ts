import { EmulatorError } from './errors.js';
import type { StatisticValues } from './statistics.js';
import { traceOf } from './value-sums.js';

/**
 * The trace of a sum of squares (features, features): a value that is not finite anywhere in its
 * rows makes a diagonal element not finite.
 * @throws EmulatorError EMULATOR_NON_FINITE
 */
export function checkedTrace(
  matrix: StatisticValues,
  features: number,
  { label, what }: { readonly label: string; readonly what: string },
): number {
  const trace = traceOf(matrix, features);
  if (Number.isFinite(trace)) return trace;
  throw new EmulatorError(
    'EMULATOR_NON_FINITE',
    `calibration of ${label}: ${what} not finite (sum of squares ${trace})`,
  );
}
