import { at, get } from '@emloc/checked';
import {
  deltaChunks,
  TensorScope,
  type Device,
  type DType,
  type SequenceLayout,
  type Tensor,
} from '@emloc/device';

import type { DeltaRuleGolden, DeltaRuleProblem } from './delta-rule-golden.js';
import type { GoldenTensor } from './golden-tensors.js';

/** Inside the square root of the norm of queries and keys, whatever the model. */
const epsilon = 1e-6;

/** Computes on a device what the golden has of each problem, by the names of its tensors. */
export async function measureDeltaRule(
  device: Device,
  golden: DeltaRuleGolden,
): Promise<ReadonlyMap<string, Float32Array>> {
  using scope = new TensorScope(device, 'golden');
  const made = new Map<string, Tensor>();
  const bench = new Bench(scope, golden, made);
  for (const [prefix, problem] of golden.rules) runRule(bench, prefix, problem);
  if (golden.convolution) runConvolution(bench, golden.convolution);
  const found = new Map<string, Float32Array>();
  for (const [name, tensor] of made)
    found.set(name, Float32Array.from(await device.download(tensor)));
  return found;
}

/** Tensors of one measurement. */
class Bench {
  constructor(
    private readonly scope: TensorScope,
    private readonly golden: DeltaRuleGolden,
    private readonly made: Map<string, Tensor>,
  ) {}

  get kernels() {
    return this.scope.device.kernels;
  }

  /** Of the golden, in a shape of as many elements. */
  given(name: string, shape: readonly number[], dtype: DType = this.compute): Tensor {
    const { values } = this.of(name);
    return this.scope.upload(values, { shape, dtype, label: name });
  }

  of(name: string): GoldenTensor {
    return get(this.golden.tensors, name);
  }

  has(name: string): boolean {
    return this.golden.tensors.has(name);
  }

  /** One that is measured. */
  output(name: string, shape: readonly number[], dtype: DType = this.compute): Tensor {
    const tensor = this.room(shape, dtype);
    this.made.set(name, tensor);
    return tensor;
  }

  room(shape: readonly number[], dtype: DType = this.compute): Tensor {
    return this.scope.allocate({ shape, dtype, label: 'room' });
  }

  sequences(lengths: readonly number[]): SequenceLayout {
    const offsets = lengths.reduce((sums, length) => [...sums, (sums.at(-1) ?? 0) + length], [0]);
    return {
      offsets,
      deviceOffsets: this.#integers(offsets),
      positions: this.#integers(
        lengths.flatMap((length) => Array.from({ length }, (_, row) => row)),
      ),
      maxLength: Math.max(...lengths),
    };
  }

  #integers(values: readonly number[]): Tensor {
    const { device } = this.scope;
    const bytes = new Uint8Array(Int32Array.from(values).buffer);
    const shape = [values.length];
    const source = { bytes, dtype: 'int32' } as const;
    return this.scope.own(device.tensor(source, shape, 'int32', 'workspace', 'golden layout'));
  }

  get compute(): DType {
    return this.scope.device.profile.computeDType;
  }
}

/** Norms of queries and keys, the rule, and both backwards. */
function runRule(bench: Bench, prefix: string, problem: DeltaRuleProblem): void {
  const { lengths, keyHeads, valueHeads, keys, values } = problem;
  const rows = lengths.reduce((sum, length) => sum + length, 0);
  const sequences = bench.sequences(lengths);
  const state = [valueHeads, keys, values];
  const [ends, gates] = [
    [lengths.length, ...state],
    [rows, valueHeads],
  ];
  const [keyShape, valueShape] = [
    [rows, keyHeads * keys],
    [rows, valueHeads * values],
  ];
  const { kernels } = bench;
  const named = (name: string): string => `${prefix}.${name}`;
  const ifThere = <T>(name: string, make: (name: string) => T): T | undefined =>
    bench.has(named(name)) ? make(named(name)) : undefined;
  const normed = (name: 'q' | 'k', scale: number) => {
    const x = bench.given(named(name), keyShape);
    const [out, inverseNorm] = [bench.room(keyShape), bench.room([rows, keyHeads], 'float32')];
    kernels.l2Norm({ x, heads: keyHeads, epsilon, scale, out, inverseNorm });
    return { x, out, inverseNorm, scale };
  };
  const [q, k] = [normed('q', keys ** -0.5), normed('k', 1)];
  const states = bench.room([deltaChunks(sequences), ...state], 'float32');
  const operands = {
    ...{ q: q.out, k: k.out, v: bench.given(named('v'), valueShape) },
    decay: bench.given(named('g'), gates, 'float32'),
    strength: bench.given(named('beta'), gates, 'float32'),
    ...{ sequences, keyHeads, valueHeads, states },
  };
  kernels.gatedDeltaRule({
    ...operands,
    initialState: ifThere('state', (name) => bench.given(name, ends, 'float32')),
    finalState: ifThere('final_state', (name) => bench.output(name, ends, 'float32')),
    out: bench.output(named('output'), valueShape),
  });
  const [dQ, dK] = [bench.room(keyShape), bench.room(keyShape)];
  kernels.gatedDeltaRuleBackward({
    ...operands,
    dOut: bench.given(named('d_output'), valueShape),
    dFinalState: ifThere('d_final_state', (name) => bench.given(name, ends, 'float32')),
    ...{ dQ, dK, dV: bench.output(named('d_v'), valueShape) },
    dDecay: bench.output(named('d_g'), gates, 'float32'),
    dStrength: bench.output(named('d_beta'), gates, 'float32'),
    dInitialState: ifThere('d_state', (name) => bench.output(name, ends, 'float32')),
  });
  for (const [name, { x, inverseNorm, scale }, dOut] of [
    ['d_q', q, dQ],
    ['d_k', k, dK],
  ] as const) {
    const dX = bench.output(named(name), keyShape);
    kernels.l2NormBackward({ dOut, x, heads: keyHeads, scale, inverseNorm, dX });
  }
}

/** The convolution and its backward; its weight is frozen. */
function runConvolution(bench: Bench, lengths: readonly number[]): void {
  const { shape } = bench.of('conv.weight');
  const [channels, taps] = [at(shape, 0), at(shape, shape.length - 1)];
  const size = [lengths.reduce((sum, length) => sum + length, 0), channels];
  const operands = {
    x: bench.given('conv.x', size),
    weight: bench.given('conv.weight', [channels, taps]),
    sequences: bench.sequences(lengths),
  };
  bench.kernels.causalConvolution({ ...operands, out: bench.output('conv.y', size) });
  bench.kernels.causalConvolutionBackward({
    ...{ ...operands, dOut: bench.given('conv.d_y', size), dX: bench.output('conv.d_x', size) },
  });
}
