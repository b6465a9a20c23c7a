import { last } from '@emloc/checked';
import type { AttentionMask, Tensor } from '@emloc/device';

import { relativeError, tolerances, type Check, type Lab } from './lab.js';

/** What a shape has beside causal scores. */
interface Scoring {
  readonly mask?: AttentionMask;
  readonly softCap?: number;
  /** Random numbers for every head, as a compute dtype holds them. */
  readonly hasSinks?: boolean;
}

interface Shape extends Scoring {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly lengths: readonly number[];
  readonly dtype: 'float32' | 'bfloat16';
}

const scorings: Readonly<Record<string, Scoring>> = {
  '': {},
  ' without a mask': { mask: { kind: 'none' } },
  ' in a window with a soft cap and sinks': {
    mask: { kind: 'window', window: 300 },
    softCap: 5,
    hasSinks: true,
  },
  ' in a window with sinks': { mask: { kind: 'window', window: 300 }, hasSinks: true },
};

/**
 * Heads of 128 that the kernels of Hopper cards do: without groups, with groups that a block sums
 * itself, with sequences that end within a tile or are shorter than one.
 */
const hopperShapes: readonly Omit<Shape, 'dtype'>[] = [
  { heads: 24, kvHeads: 24, headDim: 128, lengths: [1536, 333], mask: { kind: 'none' } },
  { heads: 24, kvHeads: 24, headDim: 128, lengths: [4608], mask: { kind: 'none' } },
  { heads: 8, kvHeads: 4, headDim: 128, lengths: [8192] },
  {
    heads: 6,
    kvHeads: 3,
    headDim: 128,
    lengths: [1, 127, 128, 129, 64, 3, 400],
    mask: { kind: 'none' },
  },
  { heads: 6, kvHeads: 3, headDim: 128, lengths: [1, 127, 128, 129, 64, 3, 400] },
];

/**
 * Small problems against double precision; a large one on tensor cores against the scalar kernels.
 */
export function attentionChecks(): readonly Check[] {
  const sizes = [16, 32, 40, 64, 80, 96, 128, 200, 256, 512, 12];
  const small = (['bfloat16', 'float32'] as const).flatMap((dtype) =>
    sizes.map((headDim) => ({ heads: 4, kvHeads: 2, headDim, lengths: [1, 70, 130, 64], dtype })),
  );
  return [
    ...small.map((shape) => ({
      name: `attention ${shape.dtype} heads of ${shape.headDim}`,
      run: (lab: Lab) => againstReference(lab, shape),
    })),
    ...[64, 80, 96, 128, 256].flatMap((headDim) =>
      Object.entries(scorings).map(([name, scoring]) => ({
        name: `attention${name} at 1024 + 777 rows, heads of ${headDim}, against the scalar kernels; equal bits twice`,
        run: (lab: Lab) =>
          againstScalar(lab, {
            heads: 28,
            kvHeads: 4,
            headDim,
            lengths: [1024, 777],
            dtype: 'bfloat16',
            ...scoring,
          }),
      })),
    ),
    ...hopperShapes.map((shape) => ({
      name: `attention of ${shape.lengths.join(' + ')} rows, ${shape.heads}/${shape.kvHeads} heads of 128, ${shape.mask?.kind ?? 'causal'}, against the scalar kernels; equal bits twice`,
      run: (lab: Lab) => againstScalar(lab, { ...shape, dtype: 'bfloat16' }),
    })),
  ];
}

function operandsOf(lab: Lab, { heads, kvHeads, headDim, lengths, dtype }: Shape) {
  const sequences = lab.sequences(lengths);
  const rows = last(sequences.offsets);
  const [q, dOut] = [
    lab.normal([rows, heads * headDim], dtype),
    lab.normal([rows, heads * headDim], dtype),
  ];
  const [k, v] = [
    lab.normal([rows, kvHeads * headDim], dtype),
    lab.normal([rows, kvHeads * headDim], dtype),
  ];
  return { q, k, v, dOut, sequences, rows };
}

function outputsOf(lab: Lab, q: Tensor, k: Tensor, heads: number) {
  const like = (tensor: Tensor) => lab.empty(tensor.shape, tensor.dtype);
  return {
    out: like(q),
    dQ: like(q),
    dK: like(k),
    dV: like(k),
    logSumExp: lab.empty([heads, q.dim(0)], 'float32'),
  };
}

async function againstReference(lab: Lab, shape: Shape): Promise<void> {
  const { heads, kvHeads, headDim } = shape;
  const { q, k, v, dOut, sequences } = operandsOf(lab, shape);
  const outputs = outputsOf(lab, q.tensor, k.tensor, heads);
  const scale = headDim ** -0.5;
  const options = {
    q: q.tensor,
    k: k.tensor,
    v: v.tensor,
    sequences,
    heads,
    kvHeads,
    scale,
    ...outputs,
  };
  lab.device.kernels.attention(options);
  lab.device.kernels.attentionBackward({ ...options, dOut: dOut.tensor });
  const expected = reference(
    { q: q.values, k: k.values, v: v.values, dOut: dOut.values },
    sequences.offsets,
    shape,
    scale,
  );
  const tolerance = shape.dtype === 'float32' ? tolerances.float32 : tolerances.bfloat16;
  for (const name of ['out', 'logSumExp', 'dQ', 'dK', 'dV'] as const)
    await lab.expectClose(name, outputs[name], expected[name], tolerance);
}

interface Values {
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
  readonly dOut: Float32Array;
}

/** Row by row, in double precision. */
function reference(
  values: Values,
  offsets: readonly number[],
  { heads, kvHeads, headDim }: Shape,
  scale: number,
) {
  const rows = last(offsets);
  const [out, dQ] = [
    new Float64Array(rows * heads * headDim),
    new Float64Array(rows * heads * headDim),
  ];
  const [dK, dV] = [
    new Float64Array(rows * kvHeads * headDim),
    new Float64Array(rows * kvHeads * headDim),
  ];
  const logSumExp = new Float64Array(heads * rows);
  const dot = (x: Float32Array, i: number, y: Float32Array, j: number) => {
    let sum = 0;
    for (let e = 0; e < headDim; e += 1) sum += (x[i + e] as number) * (y[j + e] as number);
    return sum;
  };
  const add = (
    target: Float64Array,
    at: number,
    factor: number,
    source: Float32Array,
    from: number,
  ) => {
    for (let e = 0; e < headDim; e += 1)
      target[at + e] = (target[at + e] as number) + factor * (source[from + e] as number);
  };
  for (let sequence = 0; sequence + 1 < offsets.length; sequence += 1) {
    const start = offsets[sequence] as number;
    for (let row = start; row < (offsets[sequence + 1] as number); row += 1) {
      for (let head = 0; head < heads; head += 1) {
        const at = (row * heads + head) * headDim;
        const keyAt = (j: number) => (j * kvHeads + Math.floor(head / (heads / kvHeads))) * headDim;
        const scores = Array.from(
          { length: row - start + 1 },
          (_, j) => scale * dot(values.q, at, values.k, keyAt(start + j)),
        );
        const maximum = Math.max(...scores);
        const log =
          maximum + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - maximum), 0));
        logSumExp[head * rows + row] = log;
        const p = scores.map((score) => Math.exp(score - log));
        p.forEach((weight, j) => add(out, at, weight, values.v, keyAt(start + j)));
        const dP = p.map((_, j) => dot(values.dOut, at, values.v, keyAt(start + j)));
        const delta = p.reduce((sum, weight, j) => sum + weight * (dP[j] as number), 0);
        p.forEach((weight, j) => {
          const dScore = scale * weight * ((dP[j] as number) - delta);
          add(dQ, at, dScore, values.k, keyAt(start + j));
          add(dK, keyAt(start + j), dScore, values.q, at);
          add(dV, keyAt(start + j), weight, values.dOut, at);
        });
      }
    }
  }
  return { out, logSumExp, dQ, dK, dV };
}

interface Inputs {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly dOut: Tensor;
  readonly sinks?: Tensor;
}

async function againstScalar(lab: Lab, shape: Shape): Promise<void> {
  const { heads, kvHeads, headDim, mask, softCap, hasSinks } = shape;
  const { q, k, v, dOut, sequences } = operandsOf(lab, shape);
  const common = {
    ...{ sequences, heads, kvHeads, scale: headDim ** -0.5 },
    ...(mask && { mask }),
    ...(softCap !== undefined && { softCap }),
  };
  const sinks = hasSinks ? { sinks: lab.normal([heads], 'bfloat16').tensor } : {};
  const run = (inputs: Inputs) => {
    const outputs = outputsOf(lab, inputs.q, inputs.k, heads);
    lab.device.kernels.attention({ ...common, ...inputs, ...outputs });
    lab.device.kernels.attentionBackward({ ...common, ...inputs, ...outputs });
    return outputs;
  };
  const inputs = { q: q.tensor, k: k.tensor, v: v.tensor, dOut: dOut.tensor, ...sinks };
  const [fast, again] = [run(inputs), run(inputs)];
  const widen = (tensor: Tensor) => {
    const out = lab.empty(tensor.shape, 'float32');
    lab.device.kernels.cast({ x: tensor, out });
    return out;
  };
  const exact = run({
    q: widen(inputs.q),
    k: widen(inputs.k),
    v: widen(inputs.v),
    dOut: widen(inputs.dOut),
    ...(inputs.sinks && { sinks: widen(inputs.sinks) }),
  });
  for (const name of ['out', 'logSumExp', 'dQ', 'dK', 'dV'] as const) {
    const [one, two] = [
      await lab.device.download(fast[name]),
      await lab.device.download(again[name]),
    ];
    if (one.some((value, index) => value !== two[index]))
      throw new Error(`${name}: two runs differ`);
    const error = relativeError(one, await lab.device.download(exact[name]));
    if (!(error < tolerances.bfloat16))
      throw new Error(`${name}: relative error ${error.toExponential(2)}`);
  }
}
