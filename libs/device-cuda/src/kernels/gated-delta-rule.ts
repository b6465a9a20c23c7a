import type { GatedDeltaRuleBackwardOptions, GatedDeltaRuleOptions, Tensor } from '@emloc/device';

import { addressOf, expectDType, expectShape, withScratch, type CudaContext } from '../context.js';
import type { Launcher } from '../launcher.js';
import {
  inspectRule,
  planScalarBackward,
  scalarBackwardWarps,
  type DeltaProblem,
} from './gated-delta-rule-plan.js';
import { ruleBackwardByTiles, ruleByTiles } from './gated-delta-rule-tiles.js';

/** WARPS of delta-rule-scalar.cu. */
const scalarWarps = 4;

export function gatedDeltaRule(context: CudaContext, options: GatedDeltaRuleOptions): void {
  const { out, states, initialState, finalState } = options;
  const problem = inspectRule('gatedDeltaRule', options, { v: [out] });
  inspectStates('gatedDeltaRule', problem, states, [initialState, finalState]);
  if (problem.width === null) ruleByScalars(context, options, problem);
  else ruleByTiles(context, options, problem, problem.width);
}

export function gatedDeltaRuleBackward(
  context: CudaContext,
  options: GatedDeltaRuleBackwardOptions,
): void {
  const { states, dOut, dFinalState, dQ, dK, dV, dDecay, dStrength, dInitialState } = options;
  const operation = 'gatedDeltaRuleBackward';
  const problem = inspectRule(operation, options, { q: [dQ, dK], v: [dOut, dV] });
  inspectStates(operation, problem, states, [dFinalState, dInitialState]);
  for (const tensor of [dDecay, dStrength]) expectShape(operation, tensor, options.decay.shape);
  expectDType(operation, ['float32'], dDecay, dStrength);
  if (problem.width === null) ruleBackwardByScalars(context, options, problem);
  else ruleBackwardByTiles(context, options, problem, problem.width);
}

function inspectStates(
  operation: string,
  { chunks, sequences, valueHeads, keyDim, valueDim }: DeltaProblem,
  states: Tensor | null,
  ends: readonly (Tensor | undefined)[],
): void {
  const given = ends.filter((tensor) => tensor !== undefined);
  const shape = [valueHeads, keyDim, valueDim];
  if (states) expectShape(operation, states, [chunks, ...shape]);
  for (const tensor of given) expectShape(operation, tensor, [sequences, ...shape]);
  for (const tensor of [...(states ? [states] : []), ...given])
    expectDType(operation, ['float32'], tensor);
}

type Problem = ReturnType<typeof inspectRule>;

function ruleByScalars(
  context: CudaContext,
  options: GatedDeltaRuleOptions,
  problem: Problem,
): void {
  const { q, k, v, decay, strength, sequences, out, states, initialState, finalState } = options;
  const offsets = sequences.deviceOffsets;
  pointers(context, [q, k, v, decay, strength, offsets, initialState, out, states, finalState]);
  extents(context.launcher, problem).launch('delta-rule-scalar', `delta_rule_${problem.dtype}`, {
    grid: [Math.ceil(problem.valueDim / scalarWarps), problem.valueHeads, problem.sequences],
    block: scalarWarps * 32,
  });
}

function ruleBackwardByScalars(
  context: CudaContext,
  options: GatedDeltaRuleBackwardOptions,
  problem: Problem,
): void {
  const { q, k, v, decay, strength, states, dOut, sequences } = options;
  const { dFinalState, dQ, dK, dV, dDecay, dStrength, dInitialState } = options;
  const { blocks, bytes } = planScalarBackward(problem);
  withScratch(context, bytes, (scratch) => {
    const inputs = [q, k, v, decay, strength, states, dOut, sequences.deviceOffsets, dFinalState];
    pointers(context, [...inputs, dQ, dK, dV, dDecay, dStrength, dInitialState]);
    context.launcher.pointer(scratch).int32(problem.sequences);
    const name = `delta_rule_backward_${problem.dtype}`;
    extents(context.launcher, problem).launch('delta-rule-scalar', name, {
      grid: [blocks],
      block: scalarBackwardWarps * 32,
    });
  });
}

/** Starts a parameter list with tensors' addresses, null where there is none. */
function pointers(context: CudaContext, tensors: readonly (Tensor | null | undefined)[]): void {
  context.launcher.begin();
  for (const tensor of tensors) context.launcher.pointer(tensor ? addressOf(context, tensor) : 0);
}

function extents(launcher: Launcher, problem: DeltaProblem): Launcher {
  return launcher
    .int32(problem.keyHeads)
    .int32(problem.valueHeads)
    .int32(problem.keyDim)
    .int32(problem.valueDim);
}
