import type { DType } from './dtype.js';
import type { SequenceLayout } from './sequence-layout.js';
import type { Tensor } from './tensor.js';

/** Shapes of a job that probes resemble. */
export interface ProbeShape {
  readonly sequences: number;
  /** Rows of each sequence. */
  readonly sequenceLength: number;
  readonly hiddenSize: number;
  readonly heads: number;
  readonly headDim: number;
  readonly vocabularySize: number;
  /** The linear layer with the most outputs. */
  readonly widest: { readonly inFeatures: number; readonly outFeatures: number };
  readonly loraRank: number;
}

/** Makes the operands of a probe; its owner disposes them. */
export interface ProbeOperands {
  readonly statisticsDType: DType;
  /** Filled with 0.5; in the compute dtype unless another is given. */
  tensor(shape: readonly number[], dtype?: DType): Tensor;
  indices(values: Int32Array): Tensor;
  upload(tensor: Tensor, values: Float32Array): void;
}

/** Options of a launch, and what has to be done before each where it overwrites its input. */
export interface PreparedProbe<Options> {
  readonly options: Options;
  readonly renew?: () => void;
}

export type Prepare<Options> = (
  operands: ProbeOperands,
  shape: ProbeShape,
) => PreparedProbe<Options>;

/**
 * How to time a kernel. Where memory and arithmetic both count, `dense` is mostly arithmetic and
 * `thin` mostly memory.
 */
export type Probe<Options> =
  | { readonly boundBy: 'memory' | 'arithmetic'; readonly prepare: Prepare<Options> }
  | { readonly boundBy: 'both'; readonly dense: Prepare<Options>; readonly thin: Prepare<Options> };

/** Rows of all sequences. */
export function probeRows({ sequences, sequenceLength }: ProbeShape): number {
  return sequences * sequenceLength;
}

/** The position of every row in its sequence. */
export function probePositions(shape: ProbeShape): Int32Array {
  return Int32Array.from({ length: probeRows(shape) }, (_, row) => row % shape.sequenceLength);
}

/** All sequences, one after another. */
export function probeSequences(operands: ProbeOperands, shape: ProbeShape): SequenceLayout {
  const { sequences, sequenceLength: maxLength } = shape;
  const offsets = Array.from({ length: sequences + 1 }, (_, index) => index * maxLength);
  return {
    offsets,
    deviceOffsets: operands.indices(Int32Array.from(offsets)),
    positions: operands.indices(probePositions(shape)),
    maxLength,
  };
}

/**
 * A dense symmetric matrix with distinct eigenvalues, all positive; uploaded anew for every
 * factorisation, which is in place.
 */
export function symmetricProbe(
  operands: ProbeOperands,
  { hiddenSize }: ProbeShape,
): { a: Tensor; order: number; renew: () => void } {
  const order = Math.min(hiddenSize, 2048);
  const values = Float32Array.from({ length: order * order }, (_, index) => {
    const [row, column] = [Math.floor(index / order), index % order];
    // A sine would take as long as some devices take for the rest.
    return row === column ? order + row : ((row * column + row + column) % 127) / 127;
  });
  const a = operands.tensor([order, order], operands.statisticsDType);
  return { a, order, renew: () => operands.upload(a, values) };
}
