import { EmulatorError } from './errors.js';

/** What planning needs to know of a linear layer. Layers of equal `group` read the same input. */
export interface CalibratedLinear {
  readonly name: string;
  readonly group: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/**
 * One statistic to accumulate. input: G = Σ xᵀ x (in, in), shared by `linears`. output: M = Σ yᵀ y
 * (out, out) of the one layer in `linears`, y without bias.
 */
export interface StatisticPlan {
  readonly kind: 'input' | 'output';
  readonly group: string;
  readonly linears: readonly string[];
  /** Side of the statistic. */
  readonly features: number;
  readonly inFeatures: number;
}

/**
 * M takes a gram of its own per layer but saves factorize the product W G Wᵀ and is exact for the
 * outputs; G is one for the whole group. So a group whose layers all have out <= in gets an M each
 * as long as together they take no more than this many times G.
 */
const outputStatisticsLimit = 2;

/**
 * Chooses the statistics that these layers need: G where a member has out > in, and then for the
 * whole group; else M per layer, unless many equal outputs (q, k and v without grouped queries)
 * make one G less than half as large. No statistic has a side above the smaller side of a weight
 * that needs it, except where G is shared.
 * @throws EmulatorError EMULATOR_SHAPE_MISMATCH when layers of a group differ in inFeatures
 */
export function planStatistics(linears: readonly CalibratedLinear[]): readonly StatisticPlan[] {
  const groups = new Map<string, CalibratedLinear[]>();
  for (const linear of linears)
    groups.set(linear.group, [...(groups.get(linear.group) ?? []), linear]);
  return [...groups.values()].flatMap(planGroup);
}

function planGroup(linears: readonly CalibratedLinear[]): readonly StatisticPlan[] {
  const [first] = linears;
  if (!first) return [];
  const { group, inFeatures } = first;
  for (const linear of linears) {
    if (linear.inFeatures === inFeatures) continue;
    throw new EmulatorError(
      'EMULATOR_SHAPE_MISMATCH',
      `linear layers ${first.name} and ${linear.name} of group ${group} read ${inFeatures} and ${linear.inFeatures} features, one input expected`,
    );
  }
  const outputElements = linears.reduce((sum, { outFeatures }) => sum + outFeatures ** 2, 0);
  const needsInput = linears.some(({ outFeatures }) => outFeatures > inFeatures);
  if (needsInput || outputElements > outputStatisticsLimit * inFeatures ** 2) {
    return [
      {
        kind: 'input',
        group,
        linears: linears.map(({ name }) => name),
        features: inFeatures,
        inFeatures,
      },
    ];
  }
  return linears.map(({ name, outFeatures }) => ({
    kind: 'output',
    group,
    linears: [name],
    features: outFeatures,
    inFeatures,
  }));
}

/** One statistic of gradients to accumulate; see `GradientStatistic`. */
export interface GradientStatisticPlan {
  readonly kind: 'input' | 'output';
  readonly linear: string;
  /** Side of the statistic: the smaller side of the weight. */
  readonly features: number;
  readonly outFeatures: number;
}

/** One a layer: what layers read they share, never what becomes of their outputs. */
export function planGradientStatistics(
  linears: readonly CalibratedLinear[],
): readonly GradientStatisticPlan[] {
  return linears.map(({ name, inFeatures, outFeatures }) => ({
    kind: outFeatures > inFeatures ? 'input' : 'output',
    linear: name,
    features: Math.min(inFeatures, outFeatures),
    outFeatures,
  }));
}
