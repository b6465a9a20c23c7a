import { at } from '@emloc/checked';

import { ruleOf } from './operations/index.js';
import type { Operation } from './operations/operation.js';
import type { BlockProgram } from './program.js';
import type { Value } from './value.js';

/**
 * Which derivatives are wanted: those of the adapters on these linear layers, and of the block's
 * input or not.
 */
export interface Differentiation {
  readonly adapted: ReadonlySet<string>;
  readonly inputNeedsGradient: boolean;
}

/**
 * What a forward must keep so that the backward can run; decided once per program, from the program
 * alone.
 */
export interface GradientPlan {
  readonly needsGradient: (value: Value) => boolean;
  /** Values to keep from the forward. The block's input is not among them: its owner keeps it. */
  readonly kept: ReadonlySet<number>;
  /**
   * Values run again from kept ones when the backward first asks for them, by the index of their
   * operation.
   */
  readonly recomputed: ReadonlyMap<number, number>;
  /** Per operation: whether the backward visits it. */
  readonly visited: readonly boolean[];
  /** Per operation: values that the backward needs for the last time there. */
  readonly lastUses: readonly (readonly number[])[];
}

/**
 * Decides what to keep. Outputs of cheap operations (norms, activations) are computed again instead
 * of kept.
 */
export function planGradients(
  program: BlockProgram,
  { adapted, inputNeedsGradient }: Differentiation,
): GradientPlan {
  const { operations } = program;
  const withGradient = gradientValues(program, adapted, inputNeedsGradient);
  const visited = operations.map((operation) => withGradient.has(operation.out.id));
  const savedBy = operations.map((operation, index) =>
    visited[index] ? ruleOf(operation).saves(operation, isAdapted(operation, adapted)) : [],
  );
  const producers = new Map(operations.map((operation, index) => [operation.out.id, index]));
  const kept = new Set<number>();
  const recomputed = new Map<number, number>();
  const lastUse = new Map<number, number>();

  const use = (value: Value, at: number): void => {
    lastUse.set(value.id, Math.min(at, lastUse.get(value.id) ?? at));
    const producer = producers.get(value.id);
    const operation = producer === undefined ? undefined : operations[producer];
    if (producer === undefined || !operation) return;
    if (!ruleOf(operation).isCheap) {
      kept.add(value.id);
      return;
    }
    if (recomputed.has(value.id)) return;
    recomputed.set(value.id, producer);
    for (const input of ruleOf(operation).inputs(operation)) use(input, at);
  };
  for (let index = operations.length - 1; index >= 0; index -= 1) {
    for (const value of at(savedBy, index)) use(value, index);
  }

  const lastUses: number[][] = operations.map(() => []);
  for (const [value, index] of lastUse) at(lastUses, index).push(value);
  return {
    needsGradient: (value) => withGradient.has(value.id),
    kept,
    recomputed,
    visited,
    lastUses,
  };
}

function gradientValues(
  program: BlockProgram,
  adapted: ReadonlySet<string>,
  inputNeedsGradient: boolean,
): Set<number> {
  const values = new Set<number>(inputNeedsGradient ? [program.input.id] : []);
  for (const operation of program.operations) {
    const inputs = ruleOf(operation).inputs(operation);
    if (isAdapted(operation, adapted) || inputs.some((value) => values.has(value.id)))
      values.add(operation.out.id);
  }
  return values;
}

function isAdapted(operation: Operation, adapted: ReadonlySet<string>): boolean {
  return operation.kind === 'linear' && adapted.has(operation.name);
}
