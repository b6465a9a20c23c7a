import { at } from '@emloc/checked';

import type { Operation } from './operations/operation.js';
import type { Program } from './program.js';
import type { Value } from './value.js';

/**
 * Which derivatives are wanted: those of the adapters on these linear layers, of the outputs of
 * others that only look at them, and of these of the block's input streams.
 */
export interface Differentiation {
  readonly adapted: ReadonlySet<string>;
  /** Linears whose output gradients are looked at. Default: none. */
  readonly observed?: ReadonlySet<string>;
  readonly inputs: ReadonlySet<string>;
}

/** What a forward that is run again for the backward alone does of an operation. */
export type RunAgain = 'whole' | 'auxiliaries' | 'nothing';

/**
 * What a forward must keep so that the backward can run; decided once per program, from the program
 * alone.
 */
export interface GradientPlan {
  readonly needsGradient: (value: Value) => boolean;
  /** Values to keep from the forward. The block's inputs are not among them: their owner's. */
  readonly kept: ReadonlySet<number>;
  /**
   * Values run again from kept ones when the backward first asks for them, by the index of their
   * operation.
   */
  readonly recomputed: ReadonlyMap<number, number>;
  /** Per operation: what makes the kept values and the auxiliaries once more. */
  readonly again: readonly RunAgain[];
  /** Per operation: whether the backward visits it. */
  readonly visited: readonly boolean[];
  /** Per operation: values that the backward needs for the last time there. */
  readonly lastUses: readonly (readonly number[])[];
}

/**
 * Decides what to keep. Outputs of cheap operations (norms, activations) are computed again instead
 * of kept.
 * @throws Error where a gradient goes through an operation without a backward
 */
export function planGradients(program: Program, wanted: Differentiation): GradientPlan {
  const { operations } = program;
  const withGradient = gradientValues(program, wanted);
  const needs = ({ id }: Value): boolean => withGradient.has(id);
  const visited = operations.map(
    ({ inputs, outputs, isLoss }) => outputs.some(needs) || (isLoss === true && inputs.some(needs)),
  );
  const refused = operations.find(({ isForwardOnly }, index) => isForwardOnly && visited[index]);
  if (refused)
    throw new Error(`autograd: a gradient through ${refused.name}, which has no backward`);
  const savedBy = operations.map((operation, index) =>
    visited[index] ? operation.saves(isAdapted(operation, wanted), needs) : [],
  );
  const producers = new Map(
    operations.flatMap(({ outputs }, index) => outputs.map(({ id }) => [id, index] as const)),
  );
  const kept = new Set<number>();
  const recomputed = new Map<number, number>();
  const lastUse = new Map<number, number>();

  const use = (value: Value, index: number): void => {
    lastUse.set(value.id, Math.min(index, lastUse.get(value.id) ?? index));
    const producer = producers.get(value.id);
    if (producer === undefined) return;
    const operation = at(operations, producer);
    if (!operation.isCheap) {
      kept.add(value.id);
      return;
    }
    // It may be asked for at any of its uses first: what it is made from lives until the last one.
    recomputed.set(value.id, producer);
    for (const input of operation.inputs) use(input, index);
  };
  for (let index = operations.length - 1; index >= 0; index -= 1) {
    for (const value of at(savedBy, index)) use(value, index);
  }

  const lastUses: number[][] = operations.map(() => []);
  for (const [value, index] of lastUse) at(lastUses, index).push(value);
  const leavesAux = operations.map(
    (operation, index) =>
      at(visited, index) && (operation.leavesAux?.(isAdapted(operation, wanted)) ?? false),
  );
  const again = runAgain(operations, kept, leavesAux);
  return { needsGradient: needs, kept, recomputed, again, visited, lastUses };
}

/** Without what nothing reads: a block's last product and sum, most often. */
function runAgain(
  operations: readonly Operation[],
  kept: ReadonlySet<number>,
  leavesAux: readonly boolean[],
): readonly RunAgain[] {
  const read = new Set(kept);
  const again = operations.map((): RunAgain => 'nothing');
  for (let index = operations.length - 1; index >= 0; index -= 1) {
    const { inputs, outputs, forwardAux } = at(operations, index);
    const isRead = outputs.some(({ id }) => read.has(id));
    if (!isRead && !leavesAux[index]) continue;
    again[index] = isRead || !forwardAux ? 'whole' : 'auxiliaries';
    for (const { id } of inputs) read.add(id);
  }
  return again;
}

/** The streams that a block writes whose gradient leads to an adapter or a wanted input. */
export function outputsWithGradient(
  program: Program,
  wanted: Differentiation,
): ReadonlySet<string> {
  const values = gradientValues(program, wanted);
  return new Set([...program.outputs].filter(([, { id }]) => values.has(id)).map(([name]) => name));
}

function gradientValues(program: Program, wanted: Differentiation): Set<number> {
  const values = new Set<number>();
  for (const [stream, { id }] of program.inputs) if (wanted.inputs.has(stream)) values.add(id);
  for (const operation of program.operations) {
    if (!isSource(operation, wanted) && !operation.inputs.some(({ id }) => values.has(id)))
      continue;
    for (const { id } of operation.outputs) values.add(id);
  }
  return values;
}

function isAdapted({ linear }: Operation, { adapted }: Differentiation): boolean {
  return linear !== undefined && adapted.has(linear);
}

/** Whether the gradient of its output is wanted for itself. */
function isSource(operation: Operation, wanted: Differentiation): boolean {
  const { linear } = operation;
  return (
    isAdapted(operation, wanted) ||
    (linear !== undefined && (wanted.observed?.has(linear) ?? false))
  );
}
