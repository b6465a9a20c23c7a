import {
  deltaChunkRows,
  type GatedDeltaRuleBackwardOptions,
  type GatedDeltaRuleOptions,
  type Tensor,
} from '@emloc/device';

import { addressOf, withScratch, type CudaContext } from '../context.js';
import type { LaunchShape } from '../launcher.js';
import { planPass, type DeltaProblem, type RulePass } from './gated-delta-rule-plan.js';

/** TILE_THREADS of tile.cuh, GRADIENT_THREADS of delta-rule-gradients.cu. */
const tileThreads = 128;
const gradientThreads = 256;
/** LOWER_STRIDE of delta-rule-prepare.cu, Factors of delta-rule.cuh and Parts of the gradients. */
const lowerStride = 68;
const factorFloats = 4 * deltaChunkRows;
const partFloats = 8 * deltaChunkRows + gradientThreads / 32;

/** Some value heads of a problem in scratch memory. */
interface TiledPass extends RulePass {
  readonly problem: DeltaProblem;
  readonly width: number;
  /** Address. */
  readonly scratch: number;
  /** Value head. */
  readonly first: number;
}

/** An operand by its tensor, or by its place in scratch memory. */
type Operand = Tensor | null | undefined | { readonly scratch: number };

/** Units, a kernel each. */
type TiledUnit =
  'delta-rule-prepare' | 'delta-rule' | 'delta-rule-backward' | 'delta-rule-gradients';

export function ruleByTiles(
  context: CudaContext,
  options: GatedDeltaRuleOptions,
  problem: DeltaProblem,
  width: number,
): void {
  const { q, k, v, strength, sequences, out, states, initialState, finalState } = options;
  inPasses(context, problem, { width, isBackward: false }, (pass) => {
    prepare(context, options, pass);
    const inputs = [q, k, v, strength, sequences.deviceOffsets, ...prepared(pass), initialState];
    launch(context, 'delta-rule', pass, [...inputs, out, states, finalState]);
  });
}

/** Gradients that wait for the chunk behind, chunk after chunk; then all others at once. */
export function ruleBackwardByTiles(
  context: CudaContext,
  options: GatedDeltaRuleBackwardOptions,
  problem: DeltaProblem,
  width: number,
): void {
  const { q, k, v, strength, sequences, states, dOut } = options;
  const { dFinalState, dQ, dK, dV, dDecay, dStrength, dInitialState } = options;
  const offsets = sequences.deviceOffsets;
  inPasses(context, problem, { width, isBackward: true }, (pass) => {
    const gradients = { scratch: pass.gradients };
    prepare(context, options, pass);
    const walked = [q, k, strength, offsets, dOut, ...prepared(pass), dFinalState];
    launch(context, 'delta-rule-backward', pass, [...walked, dV, gradients, dInitialState]);
    const inputs = [q, k, v, strength, offsets, ...prepared(pass), states, dOut, gradients];
    launch(context, 'delta-rule-gradients', pass, [...inputs, dQ, dK, dV, dDecay, dStrength]);
  });
}

function inPasses(
  context: CudaContext,
  problem: DeltaProblem,
  { width, isBackward }: { readonly width: number; readonly isBackward: boolean },
  run: (pass: TiledPass) => void,
): void {
  const { valueHeads } = problem;
  const plan = planPass(problem, isBackward);
  withScratch(context, plan.bytes, (scratch) => {
    for (let first = 0; first < valueHeads; first += plan.held) {
      const held = Math.min(plan.held, valueHeads - first);
      run({ ...plan, held, problem, width, scratch, first });
    }
  });
}

function prepare(
  context: CudaContext,
  { q, k, decay, strength, sequences }: Omit<GatedDeltaRuleOptions, 'out' | 'states'>,
  pass: TiledPass,
): void {
  const operands = [q, k, decay, strength, sequences.deviceOffsets, ...prepared(pass)];
  launch(context, 'delta-rule-prepare', pass, operands);
}

function prepared({ inverses, scores, sums }: RulePass): readonly Operand[] {
  return [{ scratch: inverses }, { scratch: scores }, { scratch: sums }];
}

function launch(
  context: CudaContext,
  unit: TiledUnit,
  pass: TiledPass,
  operands: readonly Operand[],
): void {
  const { problem, width, scratch, first, held } = pass;
  const { launcher } = context;
  launcher.begin();
  for (const operand of operands) {
    if (operand && 'scratch' in operand) launcher.pointer(scratch + operand.scratch);
    else launcher.pointer(operand ? addressOf(context, operand) : 0);
  }
  launcher
    .int32(problem.keyHeads)
    .int32(problem.valueHeads)
    .int32(problem.keyDim)
    .int32(problem.valueDim)
    .int32(first)
    .int32(held)
    .launch(
      `${unit}:HEAD_WIDTH=${width}`,
      `${unit.replaceAll('-', '_')}_bfloat16`,
      shapes[unit](pass),
    );
}

/** A tile of 64 rows, in bytes; see tile.cuh. */
function tileBytes(width: number): number {
  return deltaChunkRows * (width + 8) * 2;
}

/** A walk over chunks: `wide` tiles of keys and queries, three of 64 columns, two of factors. */
const walk =
  (wide: number) =>
  ({ problem: { valueDim, sequences }, held, width }: TiledPass): LaunchShape => ({
    grid: [Math.ceil(valueDim / deltaChunkRows), held, sequences],
    block: tileThreads,
    sharedBytes: wide * tileBytes(width) + 3 * tileBytes(deltaChunkRows) + 2 * factorFloats * 4,
  });

/** Every chunk of every key head. */
function chunkGrid({ problem, held }: TiledPass): readonly [number, number, number] {
  return [problem.longest, held / problem.group, problem.sequences];
}

const shapes: Readonly<Record<TiledUnit, (pass: TiledPass) => LaunchShape>> = {
  'delta-rule-prepare': (pass) => ({
    grid: chunkGrid(pass),
    block: tileThreads,
    sharedBytes: 2 * tileBytes(pass.width) + 2 * deltaChunkRows * (lowerStride + 1) * 4,
  }),
  'delta-rule': walk(3),
  'delta-rule-backward': walk(4),
  'delta-rule-gradients': (pass) => ({
    grid: chunkGrid(pass),
    block: gradientThreads,
    sharedBytes: 5 * tileBytes(pass.width) + (factorFloats + deltaChunkRows + partFloats) * 4,
  }),
};
