/**
 * `node libs/device-cpu/bench/step.mjs [--blas auto|portable|PATH] [--threads N] [--steps 10]`:
 * milliseconds that each kernel takes in one LoRA step of the demo-5m shape (8 sequences of 60
 * tokens, rank 8 on all linears, blocks' saved tensors kept), with random operands.
 */
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

import { bundle } from '../../../tools/setup/bundle.mjs';
import { workspaceRoot } from '../../../tools/setup/workspace.mjs';

const { values: flags } = parseArgs({
  options: {
    blas: { type: 'string', default: 'auto' },
    threads: { type: 'string' },
    steps: { type: 'string', default: '10' },
  },
});
const folder = join(workspaceRoot, 'dist', 'device-cpu-bench');
const [cpu, device] = await Promise.all(
  ['device-cpu', 'device'].map(async (name) => {
    const outFile = join(folder, name, `${name}.mjs`);
    await bundle({
      name,
      entry: join(workspaceRoot, 'libs', name, 'src', 'index.ts'),
      folder: join(folder, name),
      outFile,
    });
    return import(pathToFileURL(outFile).href);
  }),
);

const options = { blas: flags.blas, ...(flags.threads ? { threads: Number(flags.threads) } : {}) };
const opened = new device.Device(cpu.createCpuBackend(options), new device.MemoryBudget(2 ** 32));
const { kernels } = opened;
const [rows, hidden, intermediate, blocks, heads, kvHeads, headLength, vocabulary, rank] = [
  480, 256, 704, 6, 8, 4, 32, 4096, 8,
];
const keyWidth = kvHeads * headLength;
const milliseconds = new Map();

/** @param {string} name @param {object} operands */
function timed(name, operands) {
  const started = performance.now();
  kernels[name](operands);
  milliseconds.set(name, (milliseconds.get(name) ?? 0) + performance.now() - started);
}

/**
 * @param {number[]} shape
 * @param {(i: number) => number} [value]
 * @param {'float32' | 'int32'} [dtype]
 */
function tensor(shape, value = () => Math.random() - 0.5, dtype = 'float32') {
  const size = shape.reduce((product, extent) => product * extent, 1);
  const values = (dtype === 'int32' ? Int32Array : Float32Array).from({ length: size }, (_, i) =>
    value(i),
  );
  return opened.tensor(
    { bytes: new Uint8Array(values.buffer), dtype },
    shape,
    dtype,
    'activations',
    shape.join('x'),
  );
}

const linears = [
  [hidden, hidden],
  [hidden, keyWidth],
  [hidden, keyWidth],
  [hidden, hidden],
  [hidden, intermediate],
  [hidden, intermediate],
  [intermediate, hidden],
].map(([k, n]) => ({
  x: tensor([rows, k]),
  weight: tensor([n, k]),
  y: tensor([rows, n]),
  a: tensor([rank, k]),
  b: tensor([n, rank]),
  h: tensor([rows, rank]),
  dH: tensor([rows, rank]),
  dA: tensor([rank, k]),
  dB: tensor([n, rank]),
}));
const sequences = {
  offsets: Array.from({ length: 9 }, (_, i) => 60 * i),
  deviceOffsets: tensor([9], (i) => 60 * i, 'int32'),
  positions: tensor([rows], (i) => i % 60, 'int32'),
  maxLength: 60,
};
const [q, k, v, out] = [
  tensor([rows, hidden]),
  tensor([rows, keyWidth]),
  tensor([rows, keyWidth]),
  tensor([rows, hidden]),
];
const [dQ, dK, dV] = [tensor([rows, hidden]), tensor([rows, keyWidth]), tensor([rows, keyWidth])];
const attention = {
  q,
  k,
  v,
  out,
  logSumExp: tensor([heads, rows]),
  sequences,
  heads,
  kvHeads,
  scale: headLength ** -0.5,
};
const [x, y, gain, inverseRms] = [
  tensor([rows, hidden]),
  tensor([rows, hidden]),
  tensor([hidden]),
  tensor([rows]),
];
const [gate, up, act] = [
  tensor([rows, intermediate]),
  tensor([rows, intermediate]),
  tensor([rows, intermediate]),
];
const rope = {
  cos: tensor([64, headLength / 2]),
  sin: tensor([64, headLength / 2]),
  positions: sequences.positions,
};
const table = tensor([vocabulary, hidden]);
const head = {
  logits: tensor([240, vocabulary]),
  targets: tensor([240], () => 7, 'int32'),
  loss: tensor([240]),
  prediction: tensor([240], () => 0, 'int32'),
};
const targets = tensor([240, hidden]);

function forward() {
  for (let block = 0; block < blocks; block += 1) {
    for (const { x: input, weight, y: output, a, b, h } of linears) {
      timed('gemm', { a: input, b: weight, transposeB: true, out: output });
      timed('gemm', { a: input, b: a, transposeB: true, out: h });
      timed('gemm', { a: h, b, transposeB: true, out: output, alpha: 2, accumulate: true });
    }
    for (let i = 0; i < 2; i += 1)
      timed('rmsNorm', { x, weight: gain, epsilon: 1e-6, out: y, inverseRms });
    for (let i = 0; i < 2; i += 1) timed('add', { x, out: y });
    timed('rope', { ...rope, x: q, out: q, heads });
    timed('rope', { ...rope, x: k, out: k, heads: kvHeads });
    timed('attention', attention);
    timed('gatedActivation', { gate, up, kind: 'silu', out: act });
  }
}

function backward() {
  for (let block = 0; block < blocks; block += 1) {
    for (const { x: input, weight, y: dOut, a, b, h, dH, dA, dB } of linears) {
      timed('gemm', { a: dOut, b: weight, out: input });
      timed('gemm', { a: dOut, b, out: dH });
      timed('gemm', { a: dOut, transposeA: true, b: h, out: dB });
      timed('gemm', { a: dH, transposeA: true, b: input, out: dA });
      timed('gemm', { a: dH, b: a, out: input, accumulate: true });
      timed('fill', { out: input, value: 0.01 });
    }
    for (let i = 0; i < 2; i += 1)
      timed('rmsNormBackward', { dOut: y, x, weight: gain, inverseRms, dX: y, accumulate: true });
    timed('rope', { ...rope, x: dQ, out: dQ, heads, inverse: true });
    timed('rope', { ...rope, x: dK, out: dK, heads: kvHeads, inverse: true });
    timed('attentionBackward', { ...attention, dOut: y, dQ, dK, dV });
    timed('gatedActivationBackward', { dOut: act, gate, up, kind: 'silu', dGate: gate, dUp: up });
    for (const tensorToReset of [y, gate, up, act])
      timed('fill', { out: tensorToReset, value: 0.01 });
  }
}

function step() {
  forward();
  timed('gemm', { a: targets, b: table, transposeB: true, out: head.logits });
  timed('crossEntropy', { ...head, gradientScale: 0.004 });
  timed('gemm', { a: head.logits, b: table, out: targets });
  timed('fill', { out: targets, value: 0.01 });
  backward();
}

for (let i = 0; i < 3; i += 1) step();
milliseconds.clear();
const steps = Number(flags.steps);
const started = performance.now();
const cpuBefore = process.cpuUsage();
for (let i = 0; i < steps; i += 1) step();
const { user, system } = process.cpuUsage(cpuBefore);
console.log(JSON.stringify(cpu.describeCpu(options)));
console.log(
  `step ${((performance.now() - started) / steps).toFixed(1)} ms, processor time ${((user + system) / 1000 / steps).toFixed(1)} ms`,
);
for (const [name, total] of [...milliseconds].sort((a, b) => b[1] - a[1]))
  console.log(`${name.padEnd(18)} ${(total / steps).toFixed(2).padStart(8)} ms`);
