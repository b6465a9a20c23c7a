import { at, last } from '@emloc/checked';
import { deltaChunks, type Tensor } from '@emloc/device';

import { tolerances, type Check, type Lab } from './lab.js';

type Floating = 'float32' | 'bfloat16';

const lengths = [1, 5, 64, 65, 150];

interface RuleShape {
  readonly lengths: readonly number[];
  readonly keyHeads: number;
  /** Value heads of a key head. */
  readonly group: number;
  readonly keyDim: number;
  readonly valueDim: number;
  /** Size of the decays' logarithms. */
  readonly rate: number;
}

/** A large model's shape, then both tile widths with heads that fill them and that do not. */
const ruleShapes: readonly RuleShape[] = [
  { keyHeads: 16, group: 3, keyDim: 128, valueDim: 128, rate: 0.1, lengths: [300, 212] },
  { keyHeads: 2, group: 3, keyDim: 128, valueDim: 128, rate: 1, lengths },
  { keyHeads: 2, group: 1, keyDim: 72, valueDim: 128, rate: 0.05, lengths },
  { keyHeads: 1, group: 2, keyDim: 128, valueDim: 40, rate: 20, lengths },
  { keyHeads: 2, group: 2, keyDim: 64, valueDim: 64, rate: 0.2, lengths },
  { keyHeads: 3, group: 2, keyDim: 16, valueDim: 24, rate: 5, lengths },
];

/**
 * The operations of linear attention against double precision, at widths of large models; the rule
 * on tensor cores against its scalar kernels, which conformance cases check.
 */
export function deltaChecks(): readonly Check[] {
  const dtypes = ['float32', 'bfloat16'] as const;
  return [
    ...dtypes.flatMap((dtype) =>
      [96, 33].map((channels) => ({
        name: `causalConvolution ${dtype} of ${channels} channels`,
        run: (lab: Lab) => checkConvolution(lab, dtype, channels),
      })),
    ),
    ...dtypes.flatMap((dtype) =>
      [128, 18].map((d) => ({
        name: `l2Norm ${dtype}, heads of ${d}`,
        run: (lab: Lab) => checkL2Norm(lab, dtype, d),
      })),
    ),
    ...dtypes.flatMap((dtype) =>
      [...new Set([dtype, 'float32'] as const)].map((stored) => ({
        name: `deltaGates ${dtype}, parameters ${stored}`,
        run: (lab: Lab) => checkGates(lab, dtype, stored),
      })),
    ),
    ...ruleShapes.map((shape) => ({
      name: `gatedDeltaRule of ${shape.keyHeads} x ${shape.group} heads of ${shape.keyDim} and ${shape.valueDim} on tensor cores as on scalars`,
      run: (lab: Lab) => checkRule(lab, shape),
    })),
  ];
}

async function checkConvolution(lab: Lab, dtype: Floating, channels: number): Promise<void> {
  const { kernels } = lab.device;
  const taps = 4;
  const sequences = lab.sequences(lengths);
  const rows = last(sequences.offsets);
  const [x, dOut, dX] = [1, 1, 1].map(() => lab.normal([rows, channels], dtype)) as Triple;
  const weight = lab.normal([channels, taps], dtype);
  const initial = lab.normal([lengths.length, taps - 1, channels], dtype);
  const out = lab.empty([rows, channels], dtype);
  const expected = { out: new Float64Array(out.size), dX: Float64Array.from(dX.values) };
  const borders = new Float64Array(initial.values.length);
  lengths.forEach((length, sequence) => {
    const start = at(sequences.offsets, sequence);
    const border = (row: number, channel: number) =>
      (sequence * (taps - 1) + row) * channels + channel;
    for (let channel = 0; channel < channels; channel += 1) {
      const read = (row: number) =>
        row >= 0
          ? at(x.values, (start + row) * channels + channel)
          : at(initial.values, border(row + taps - 1, channel));
      for (let row = 0; row < taps - 1; row += 1)
        borders[border(row, channel)] = read(length - taps + 1 + row);
      for (let row = 0; row < length; row += 1) {
        let [sum, without] = [0, 0];
        for (let tap = 0; tap < taps; tap += 1) {
          const term = at(weight.values, channel * taps + tap) * read(row - taps + 1 + tap);
          sum += term;
          without += row - taps + 1 + tap < 0 ? 0 : term;
        }
        const i = (start + row) * channels + channel;
        expected.out[i] = sum * logistic(sum);
        const s = logistic(without);
        const slope = at(dOut.values, i) * s * (1 + without * (1 - s));
        for (let tap = 0; tap < taps; tap += 1) {
          const from = row - taps + 1 + tap;
          const to = (start + from) * channels + channel;
          if (from >= 0)
            expected.dX[to] = at(expected.dX, to) + at(weight.values, channel * taps + tap) * slope;
        }
      }
    }
  });
  const operands = { x: x.tensor, weight: weight.tensor, sequences };
  kernels.causalConvolution({
    ...operands,
    initialRows: initial.tensor,
    finalRows: initial.tensor,
    out,
  });
  await lab.expectClose('out', out, expected.out, tolerances[dtype]);
  await lab.expectClose('final rows', initial.tensor, borders, 0);
  kernels.causalConvolutionBackward({
    ...operands,
    dOut: dOut.tensor,
    dX: dX.tensor,
    accumulate: true,
  });
  await lab.expectClose('dX', dX.tensor, expected.dX, tolerances[dtype]);
}

type Drawn = ReturnType<Lab['normal']>;
type Triple = [Drawn, Drawn, Drawn];

function logistic(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

async function checkL2Norm(lab: Lab, dtype: Floating, d: number): Promise<void> {
  const [rows, heads, epsilon, scale] = [37, 3, 1e-2, 0.3];
  const [x, dOut, dX] = [0.1, 1, 1].map((size) =>
    lab.normal([rows, heads * d], dtype, size),
  ) as Triple;
  const [out, inverseNorm] = [
    lab.empty([rows, heads * d], dtype),
    lab.empty([rows, heads], 'float32'),
  ];
  const norms = Float64Array.from({ length: rows * heads }, (_, head) => {
    const values = x.values.subarray(head * d, (head + 1) * d);
    return 1 / Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) + epsilon);
  });
  const products = norms.map((norm, head) => {
    let sum = 0;
    for (let i = head * d; i < (head + 1) * d; i += 1) sum += at(x.values, i) * at(dOut.values, i);
    return sum * norm * norm;
  });
  const gradients = Float64Array.from(dX.values, (start, i) => {
    const head = Math.floor(i / d);
    const inner = at(dOut.values, i) - at(x.values, i) * at(products, head);
    return start + scale * at(norms, head) * inner;
  });
  const operands = { x: x.tensor, heads, scale, inverseNorm };
  lab.device.kernels.l2Norm({ ...operands, epsilon, out });
  await lab.expectClose(
    'out',
    out,
    Float64Array.from(x.values, (value, i) => value * scale * at(norms, Math.floor(i / d))),
    tolerances[dtype],
  );
  await lab.expectClose('inverseNorm', inverseNorm, norms, tolerances.float32);
  lab.device.kernels.l2NormBackward({
    ...operands,
    dOut: dOut.tensor,
    dX: dX.tensor,
    accumulate: true,
  });
  await lab.expectClose('dX', dX.tensor, gradients, tolerances[dtype]);
}

async function checkGates(lab: Lab, dtype: Floating, stored: Floating): Promise<void> {
  const [rows, heads] = [70, 48];
  const [a, b] = [lab.normal([rows, heads], dtype, 8), lab.normal([rows, heads], dtype, 3)];
  const [logDecay, offset] = [lab.normal([heads], stored), lab.normal([heads], stored)];
  const gate = () => lab.empty([rows, heads], 'float32');
  const [decay, strength] = [gate(), gate()];
  const [dDecay, dStrength] = [
    lab.normal([rows, heads], 'float32'),
    lab.normal([rows, heads], 'float32'),
  ];
  const [dA, dB] = [lab.empty([rows, heads], dtype), lab.empty([rows, heads], dtype)];
  const rate = (i: number) => Math.exp(at(logDecay.values, i % heads));
  const inner = (i: number) => at(a.values, i) + at(offset.values, i % heads);
  const operands = {
    a: a.tensor,
    b: b.tensor,
    logDecay: logDecay.tensor,
    offset: offset.tensor,
  };
  lab.device.kernels.deltaGates({ ...operands, decay, strength });
  const each = (value: (i: number) => number) =>
    Float64Array.from({ length: rows * heads }, (_, i) => value(i));
  await lab.expectClose(
    'decay',
    decay,
    each((i) => -rate(i) * (Math.max(inner(i), 0) + Math.log1p(Math.exp(-Math.abs(inner(i)))))),
    tolerances.float32,
  );
  await lab.expectClose(
    'strength',
    strength,
    each((i) => logistic(at(b.values, i))),
    tolerances.float32,
  );
  lab.device.kernels.deltaGatesBackward({
    ...operands,
    dDecay: dDecay.tensor,
    dStrength: dStrength.tensor,
    dA,
    dB,
  });
  await lab.expectClose(
    'dA',
    dA,
    each((i) => -at(dDecay.values, i) * rate(i) * logistic(inner(i))),
    tolerances[dtype],
  );
  await lab.expectClose(
    'dB',
    dB,
    each((i) => {
      const s = logistic(at(b.values, i));
      return at(dStrength.values, i) * s * (1 - s);
    }),
    tolerances[dtype],
  );
}

/** Operands of the rule: queries and keys of about length one. */
function ruleOperands(lab: Lab, shape: RuleShape) {
  const { keyHeads, group, keyDim, valueDim, rate } = shape;
  const heads = keyHeads * group;
  const sequences = lab.sequences(shape.lengths);
  const rows = last(sequences.offsets);
  const keys = () => lab.normal([rows, keyHeads * keyDim], 'bfloat16', keyDim ** -0.5).tensor;
  const values = () => lab.normal([rows, heads * valueDim], 'bfloat16').tensor;
  const gates = (value: () => number) => {
    const host = Float32Array.from({ length: rows * heads }, value);
    const tensor = lab.empty([rows, heads], 'float32');
    lab.device.upload(tensor, { bytes: new Uint8Array(host.buffer), dtype: 'float32' });
    return tensor;
  };
  const ends = () => lab.normal([shape.lengths.length, heads, keyDim, valueDim], 'float32').tensor;
  return {
    ...{ q: keys(), k: keys(), v: values(), dOut: values(), sequences },
    decay: gates(() => rate * Math.log(lab.random())),
    strength: gates(() => lab.random()),
    ...{ initialState: ends(), dFinalState: ends() },
  };
}

type RuleOperands = ReturnType<typeof ruleOperands>;

/** Tensor cores beside the scalar kernels in float32, and the same bits twice. */
async function checkRule(lab: Lab, shape: RuleShape): Promise<void> {
  const operands = ruleOperands(lab, shape);
  const wide = (x: Tensor): Tensor => {
    const out = lab.empty(x.shape, 'float32');
    lab.device.kernels.cast({ x, out });
    return out;
  };
  const { q, k, v, dOut } = operands;
  const widened = { ...operands, q: wide(q), k: wide(k), v: wide(v), dOut: wide(dOut) };
  const expected = runRule(lab, shape, widened);
  const [once, twice] = [runRule(lab, shape, operands), runRule(lab, shape, operands)];
  for (const name of Object.keys(expected) as (keyof typeof expected)[]) {
    const reference = await lab.device.download(expected[name]);
    await lab.expectClose(name, once[name], reference, tolerances.bfloat16);
    await lab.expectClose(`${name} twice`, twice[name], await lab.device.download(once[name]), 0);
  }
}

/** What the rule and its backward give. */
function runRule(lab: Lab, shape: RuleShape, operands: RuleOperands) {
  const { keyHeads, group, keyDim, valueDim } = shape;
  const heads = keyHeads * group;
  const { sequences, initialState, dFinalState, dOut, ...inputs } = operands;
  const [{ dtype }, rows] = [operands.q, last(sequences.offsets)];
  const like = (width: number) => lab.empty([rows, width], dtype);
  const gate = () => lab.empty([rows, heads], 'float32');
  const states = (count: number) => lab.empty([count, heads, keyDim, valueDim], 'float32');
  const common = { ...inputs, sequences, keyHeads, valueHeads: heads };
  const kept = states(deltaChunks(sequences));
  const forward = { out: like(heads * valueDim), finalState: states(shape.lengths.length) };
  const gradients = {
    ...{ dQ: like(keyHeads * keyDim), dK: like(keyHeads * keyDim), dV: like(heads * valueDim) },
    ...{ dDecay: gate(), dStrength: gate(), dInitialState: states(shape.lengths.length) },
  };
  const { kernels } = lab.device;
  kernels.gatedDeltaRule({ ...common, states: kept, initialState, ...forward });
  kernels.gatedDeltaRuleBackward({ ...common, states: kept, dOut, dFinalState, ...gradients });
  return { ...forward, states: kept, ...gradients };
}
