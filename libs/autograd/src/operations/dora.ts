import { required } from '@emloc/checked';
import type { SequenceLayout, Tensor } from '@emloc/device';

import type { AdapterBinding, BlockBindings, LinearWeights } from '../bindings.js';
import type { Value } from '../value.js';
import type { BackwardContext, ForwardContext } from './operation.js';

/** An adapter with a magnitude. */
export type DoraBinding = AdapterBinding & { readonly magnitude: Tensor };

export function hasMagnitude(adapter: AdapterBinding | null): adapter is DoraBinding {
  return adapter !== null && adapter.magnitude !== null;
}

/** What the forward leaves of a linear with a magnitude. */
export interface DoraAuxiliaries {
  /** (N, out): x Wᵀ + s · (x Aᵀ) Bᵀ */
  readonly sum: Tensor;
  /** (out) float32: of the rows of W + s · B A */
  readonly inverseRms: Tensor;
}

/** Elements of W + s · B A that are there at a time. */
const pieceElements = 2 ** 22;
/** Added to a mean of squares; it tells apart from 0 nothing that float32 holds. */
const epsilon = 1e-30;

/** Of a linear's auxiliaries, whose first two these are. */
function doraAuxiliaries([sum, inverseRms]: readonly Tensor[]): DoraAuxiliaries {
  const what = 'what the forward of a linear with a magnitude keeps';
  return { sum: required(sum, what), inverseRms: required(inverseRms, what) };
}

/** Makes room for the sum that is to be scaled, and finds the norms that it is scaled by. */
export function beginDora(
  context: ForwardContext,
  weights: LinearWeights,
  { out, adapter, name }: { readonly out: Value; readonly adapter: DoraBinding; name: string },
): DoraAuxiliaries {
  const sum = context.aux([context.rows(out), out.width], 'compute', `${name}.doraSum`);
  const inverseRms = context.aux([out.width], 'float32', `${name}.doraInverseRms`);
  findNorms(context.bindings, weights, { adapter, inverseRms });
  return { sum, inverseRms };
}

/**
 * y = sum + gate ⊙ sum, which is m / ‖W + s · B A‖ of each output. The norm counts as a constant in
 * the backward (section 4.3 of arXiv 2402.09353).
 */
export function applyMagnitude(
  { bindings }: ForwardContext,
  { sum, inverseRms }: DoraAuxiliaries,
  { adapter, x, output }: { readonly adapter: DoraBinding; readonly x: Value; output: Tensor },
): void {
  const { kernels } = bindings.device;
  const sequences = bindings.layout(x.rows);
  using gate = gateOf(bindings, { adapter, inverseRms, sequences });
  kernels.cast({ x: sum, out: output });
  kernels.gatedAdd({ x: sum, gate, sequences, out: output });
}

/** The gradient of the sum, the caller's; that of the magnitude is added to its own. */
export function pullBackMagnitude(
  context: BackwardContext,
  { adapter, x, name }: { readonly adapter: DoraBinding; readonly x: Value; readonly name: string },
): Tensor {
  const { bindings, dOut } = context;
  const { kernels } = bindings.device;
  const { sum, inverseRms } = doraAuxiliaries(context.aux);
  const sequences = bindings.layout(x.rows);
  const dMagnitude = adapter.gradients?.magnitude ?? null;
  using gate = gateOf(bindings, { adapter, inverseRms, sequences });
  using dGate = dMagnitude && allocateLike(bindings, gate, `${name}.dDoraGate`);
  using dSum = context.scratch(x, dOut.dim(1), `${name}.dDoraSum`);
  kernels.cast({ x: dOut, out: dSum });
  kernels.gatedAddBackward({ dOut, x: sum, gate, sequences, dX: dSum, accumulate: true, dGate });
  if (dGate && dMagnitude) {
    const width = adapter.a.dim(1);
    kernels.doraGateBackward({ dGate, inverseRms, width, dMagnitude });
  }
  return dSum.retain();
}

/** (sequences, out) */
function gateOf(
  { device }: BlockBindings,
  {
    adapter,
    inverseRms,
    sequences,
  }: { adapter: DoraBinding; inverseRms: Tensor; sequences: SequenceLayout },
): Tensor {
  const { magnitude, a } = adapter;
  const shape = [sequences.offsets.length - 1, magnitude.dim(0)];
  const { computeDType } = device.profile;
  const gate = device.allocate(shape, computeDType, 'activations', 'linear.doraGate');
  device.kernels.doraGate({ magnitude, inverseRms, width: a.dim(1), gate });
  return gate;
}

function allocateLike({ device }: BlockBindings, { shape, dtype }: Tensor, label: string): Tensor {
  return device.allocate(shape, dtype, 'activations', label);
}

/** 1 / √(mean of squares) of the rows of W + s · B A, some rows at a time. */
function findNorms(
  { device }: BlockBindings,
  weights: LinearWeights,
  { adapter, inverseRms }: { adapter: DoraBinding; inverseRms: Tensor },
): void {
  if (weights.kind !== 'dense') throw new Error('DoRA needs a whole weight, not its factors');
  const { weight } = weights;
  const [rows, columns] = [weight.dim(0), weight.dim(1)];
  const step = Math.max(1, Math.min(rows, Math.floor(pieceElements / columns)));
  const { kernels, profile } = device;
  const shape = [step, columns];
  using buffer = device.allocate(shape, profile.computeDType, 'activations', 'linear.doraWeight');
  for (let start = 0; start < rows; start += step) {
    const end = Math.min(rows, start + step);
    const out = buffer.rows(0, end - start);
    kernels.cast({ x: weight.rows(start, end), out });
    const b = adapter.b.rows(start, end);
    kernels.gemm({ a: b, b: adapter.a, out, alpha: adapter.scale, accumulate: true });
    const inverses = inverseRms.rows(start, end);
    kernels.rmsNorm({ x: out, weight: null, epsilon, out, inverseRms: inverses });
  }
}
