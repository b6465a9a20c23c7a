import type {
  DeltaGatesBackwardOptions,
  DeltaGatesOptions,
  KernelName,
  Tensor,
} from '@emloc/device';

import { assertShape, matrix } from '../checks.js';
import { float32 } from '../memory.js';

/** In float64, rounded once. */
export function deltaGates({ a, b, logDecay, offset, decay, strength }: DeltaGatesOptions): void {
  const heads = check('deltaGates', [a, b, decay, strength], [logDecay, offset]);
  const [speeds, strengths] = [float32(a), float32(b)];
  const [rates, offsets] = [ratesOf(logDecay), float32(offset)];
  const [decays, shares] = [float32(decay), float32(strength)];
  for (let i = 0; i < speeds.length; i += 1) {
    const head = i % heads;
    decays[i] =
      (rates[head] as number) * softplus((speeds[i] as number) + (offsets[head] as number));
    shares[i] = logistic(strengths[i] as number);
  }
}

/** dA = dDecay · −exp(logDecay) σ(a + offset), dB = dStrength β (1 − β) with β = σ(b). */
export function deltaGatesBackward(options: DeltaGatesBackwardOptions): void {
  const { a, b, logDecay, offset, dDecay, dStrength, dA, dB } = options;
  const rows = [a, b, dDecay, dStrength, dA, dB];
  const heads = check('deltaGatesBackward', rows, [logDecay, offset]);
  const [speeds, strengths] = [float32(a), float32(b)];
  const [rates, offsets] = [ratesOf(logDecay), float32(offset)];
  const [decays, shares] = [float32(dDecay), float32(dStrength)];
  const [speedGradients, strengthGradients] = [float32(dA), float32(dB)];
  for (let i = 0; i < speeds.length; i += 1) {
    const head = i % heads;
    const slope = logistic((speeds[i] as number) + (offsets[head] as number));
    const share = logistic(strengths[i] as number);
    speedGradients[i] = (decays[i] as number) * (rates[head] as number) * slope;
    strengthGradients[i] = (shares[i] as number) * share * (1 - share);
  }
}

/** How many heads there are. */
function check(
  kernel: KernelName,
  [first, ...others]: readonly Tensor[],
  byHead: readonly Tensor[],
): number {
  const [rows, heads] = matrix(kernel, first as Tensor);
  for (const tensor of others) assertShape(kernel, tensor, [rows, heads]);
  for (const tensor of byHead) assertShape(kernel, tensor, [heads]);
  return heads;
}

function ratesOf(logDecay: Tensor): Float64Array {
  return Float64Array.from(float32(logDecay), (value) => -Math.exp(value));
}

function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

function logistic(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
