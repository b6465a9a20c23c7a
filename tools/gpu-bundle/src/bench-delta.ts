import { last } from '@emloc/checked';
import { deltaChunks, type Device, type Tensor } from '@emloc/device';

import { measure, type Group, type Measurement, type Operands } from './bench-lab.js';

/** Qwen3.5-27B's delta nets on 2 x 1024 rows: 16 key heads and 48 value heads of 128. */
const shape = { lengths: [1024, 1024], keyHeads: 16, valueHeads: 48, dim: 128, taps: 4 } as const;
const chunkRows = 64;

/** Operations of linear attention, each of which moves rows once; the rule beside its parts. */
export const benchDelta: Group = async (device, operands, report) => {
  const { keyHeads, valueHeads, dim } = shape;
  const { kernels } = device;
  const sequences = operands.sequences(shape.lengths);
  const rows = last(sequences.offsets);
  const channels = (2 * keyHeads + valueHeads) * dim;
  const [x, y, dX] = [0, 1, 2].map(() => operands.random([rows, channels])) as Three;
  const weight = operands.random([channels, shape.taps]);
  const bytes = x.byteLength;
  const convolution = { x, weight, sequences };
  await run('causalConvolution', { bytes: 2 * bytes }, () =>
    kernels.causalConvolution({ ...convolution, out: y }),
  );
  await run('causalConvolutionBackward', { bytes: 3 * bytes }, () =>
    kernels.causalConvolutionBackward({ ...convolution, dOut: y, dX }),
  );
  const keys = () => operands.random([rows, keyHeads * dim]);
  const [q, k, dQ, dK] = [keys(), keys(), keys(), keys()];
  const inverseNorm = operands.empty([rows, keyHeads], 'float32');
  await run('l2Norm', { bytes: 2 * q.byteLength }, () =>
    kernels.l2Norm({
      x: dQ,
      heads: keyHeads,
      epsilon: 1e-6,
      scale: dim ** -0.5,
      out: q,
      inverseNorm,
    }),
  );
  kernels.l2Norm({ x: dK, heads: keyHeads, epsilon: 1e-6, out: k, inverseNorm });
  const gates = (dtype: 'bfloat16' | 'float32') => operands.random([rows, valueHeads], dtype);
  const [logDecay, offset] = [1, 2].map(() => operands.random([valueHeads], 'float32')) as [
    Tensor,
    Tensor,
  ];
  const [decay, strength, dDecay, dStrength] = [1, 2, 3, 4].map(() => gates('float32')) as Four;
  const [a, b] = [gates('bfloat16'), gates('bfloat16')];
  await run('deltaGates', {}, () =>
    kernels.deltaGates({ a, b, logDecay, offset, decay, strength }),
  );
  const values = () => operands.random([rows, valueHeads * dim]);
  const [v, out, dOut, dV] = [values(), values(), values(), values()];
  const states = operands.empty([deltaChunks(sequences), valueHeads, dim, dim], 'float32');
  const rule = { q, k, v, decay, strength, sequences, keyHeads, valueHeads, states };
  const products = rows * valueHeads * dim;
  const forward = { state: 3, keys: 2, values: 2 };
  await run('gatedDeltaRule', { flops: flopsOf(products, forward) }, () =>
    kernels.gatedDeltaRule({ ...rule, out }),
  );
  await reportParts(forward, [q, k, v, out, decay, strength, states]);
  const backward = { state: 7, keys: 6, values: 5 };
  await run('gatedDeltaRuleBackward', { flops: flopsOf(products, backward) }, () =>
    kernels.gatedDeltaRuleBackward({ ...rule, dOut, dQ, dK, dV, dDecay, dStrength }),
  );
  const moved = [q, k, v, decay, strength, states, dOut, dQ, dK, dV, dDecay, dStrength];
  await reportParts(backward, moved);

  async function run(
    name: string,
    work: { readonly flops?: number; readonly bytes?: number },
    launch: () => void,
  ): Promise<void> {
    report(await measure(device, `${name}, ${rows} rows, 16/48 heads of 128`, work, launch));
  }
  async function reportParts(counts: Products, tensors: readonly Tensor[]): Promise<void> {
    const moved = tensors.reduce((sum, tensor) => sum + tensor.byteLength, 0);
    report(await measureParts(device, operands, { rows: rows * valueHeads, counts, bytes: moved }));
  }
};

type Three = [Tensor, Tensor, Tensor];
type Four = [Tensor, Tensor, Tensor, Tensor];

/** Products of rows with a state, and of pairs of a chunk's rows over keys or values. */
interface Products {
  readonly state: number;
  readonly keys: number;
  readonly values: number;
}

/** Pairs of rows as blocks have them: all of a chunk's. */
function flopsOf(products: number, { state, keys, values }: Products): number {
  return 2 * products * (state * shape.dim + (keys + values) * chunkRows);
}

/** The same products as plain ones of all rows together, and the bytes at a copy's rate. */
async function measureParts(
  device: Device,
  operands: Operands,
  {
    rows,
    counts,
    bytes,
  }: { readonly rows: number; readonly counts: Products; readonly bytes: number },
): Promise<Measurement> {
  const { kernels } = device;
  const { dim } = shape;
  const [x, y] = [operands.random([rows, dim]), operands.empty([rows, dim], 'bfloat16')];
  const [pairs, chunk, state] = [
    operands.empty([rows, chunkRows], 'bfloat16'),
    operands.random([chunkRows, dim]),
    operands.random([dim, dim]),
  ];
  const wide = operands.empty([rows, dim], 'float32');
  const one = async (launch: () => void) => (await measure(device, '', {}, launch)).ms;
  const byState = await one(() => kernels.gemm({ a: x, b: state, out: y }));
  const ofPairs = await one(() => kernels.gemm({ a: x, b: chunk, transposeB: true, out: pairs }));
  const byPairs = await one(() => kernels.gemm({ a: pairs, b: chunk, out: y }));
  const copy = await one(() => kernels.cast({ x, out: wide }));
  const memory = (copy * bytes) / (x.byteLength + wide.byteLength);
  const ms = counts.state * byState + counts.keys * ofPairs + counts.values * byPairs + memory;
  const name = `  its parts alone: gemms, and ${memory.toFixed(3)} ms of memory`;
  return { name, ms, rate: flopsOf(rows * dim, counts) / ms / 1e9, unit: 'TFLOP/s' };
}
