import {
  deviation,
  float32Limits,
  relative,
  summed,
  type Comparison,
  type Limits,
} from './compare.js';
import type { DeltaRuleGolden } from './delta-rule-golden.js';

/** Of float32: of single operations, tighter than of models. */
export const float32DeltaRuleLimits: Limits = {
  ...float32Limits,
  outputs: 1e-5,
  gradients: 1e-5,
};

/** Compares every tensor that was measured. */
export function compareDeltaRule(
  { tensors }: DeltaRuleGolden,
  measured: ReadonlyMap<string, Float32Array>,
  limits: Limits,
): Comparison {
  const deviations = [...measured].map(([name, values]) => {
    const quantity = name.includes('.d_') ? 'gradients' : 'outputs';
    return deviation(quantity, name, errorOf(values, tensors.get(name)?.values ?? []));
  });
  return summed(deviations, limits);
}

/** Zeros, too, may be what is expected. */
function errorOf(found: Float32Array, expected: ArrayLike<number>): number {
  const isEqual =
    found.length === expected.length && found.every((value, index) => value === expected[index]);
  return isEqual ? 0 : relative(found, expected);
}
