import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { Device, MemoryBudget, type Backend, type Tensor } from '@emloc/device';
import { createCpuBackend, describeCpu } from '@emloc/device-cpu';
import { blocksBeforeLoss } from '@emloc/finetune';
import { openModel } from '@emloc/models';
import { allDeviceBytes } from '@emloc/weight-pager';

import { compareSides, sampleSide, type Comparison, type Sample } from './cpu-samples.js';
import { median } from './gpu-table.js';
import { runTraining, type TrainingTask } from './gpu-training.js';
import type { Measurement } from './measurement.js';

const help = `usage: npm run bench -- cpu [--rounds 25] [--steps 5] [--model examples/models/demo-5m]
The CPU device by its portable code and by the BLAS that is found, one thread each, in turn: products of the shapes of a LoRA step of
demo-5m, one of 1024 x 1024 x 1024, and whole steps of 8 rows of 60 tokens (--steps a round; 0 leaves them out). Ratios above 1: the
BLAS is faster; of the medians of processor time, and of the shortest times by the clock. A processor's older kernels of OpenBLAS:
OPENBLAS_CORETYPE=Haswell or SkylakeX. Fused multiply-add in Node 20's WebAssembly: node --experimental-wasm-relaxed-simd
dist/bench/bench.mjs cpu.
`;

/** out (m, n) = op(a) op(b), with inner extent k */
interface Product {
  readonly name: string;
  readonly layout: 'NT' | 'NN' | 'TN';
  readonly extents: readonly [m: number, n: number, k: number];
}

const tokens = 480;

/** A linear's forward, its backward towards inputs, and gradients, of weights and of LoRA's. */
const products: readonly Product[] = [
  { name: 'forward, q and o', layout: 'NT', extents: [tokens, 256, 256] },
  { name: 'forward, k and v', layout: 'NT', extents: [tokens, 128, 256] },
  { name: 'forward, gate and up', layout: 'NT', extents: [tokens, 704, 256] },
  { name: 'forward, down', layout: 'NT', extents: [tokens, 256, 704] },
  { name: 'forward, head', layout: 'NT', extents: [tokens / 2, 4096, 256] },
  { name: 'backward, q and o', layout: 'NN', extents: [tokens, 256, 256] },
  { name: 'backward, gate and up', layout: 'NN', extents: [tokens, 256, 704] },
  { name: 'backward, down', layout: 'NN', extents: [tokens, 704, 256] },
  { name: 'backward, head', layout: 'NN', extents: [tokens / 2, 256, 4096] },
  { name: 'gradient of a weight', layout: 'TN', extents: [704, 256, tokens] },
  { name: 'LoRA, x Aᵀ', layout: 'NT', extents: [tokens, 8, 256] },
  { name: 'LoRA, h Bᵀ', layout: 'NT', extents: [tokens, 704, 8] },
  { name: 'LoRA, gradient of B', layout: 'TN', extents: [704, 8, tokens] },
  { name: 'LoRA, gradient of A', layout: 'TN', extents: [8, 256, tokens] },
  { name: 'cube', layout: 'NT', extents: [1024, 1024, 1024] },
];

/** The two that are compared, in the order of the table's columns. */
const sides = [{ threads: 1 }, { blas: 'portable' }] as const;

/** `bench cpu` */
export const measure: Measurement = async (args) => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '25' },
      steps: { type: 'string', default: '5' },
      model: { type: 'string', default: join('examples', 'models', 'demo-5m') },
      help: { type: 'boolean', default: false },
    },
  });
  const [rounds, steps] = [Number(values.rounds), Number(values.steps)];
  if (values.help || ![rounds, steps + 1].every((count) => Number.isInteger(count) && count >= 1)) {
    (values.help ? process.stdout : process.stderr).write(help);
    return values.help ? 0 : 2;
  }
  const [blas, portable] = sides.map(describeCpu);
  process.stderr.write(`${blas?.version} and ${portable?.version}\n`);
  if (blas?.library === 'portable') {
    process.stderr.write('bench: no BLAS is found here (EMLOC_BLAS_PATH names one)\n');
    return 1;
  }
  row('product', 'm x n x k', 'BLAS, GFLOP/s', 'portable, GFLOP/s', 'ratio', 'of the shortest');
  row('---', '---', '---:', '---:', '---:', '---:');
  for (const product of products) await writeProduct(product, rounds);
  if (steps > 0) await writeSteps(values.model, { rounds, steps });
  return 0;
};

async function writeProduct({ name, layout, extents }: Product, rounds: number): Promise<void> {
  const [m, n, k] = extents;
  const gigaflop = (2 * m * n * k) / 1e9;
  const [first, second] = sides.map((side) => productOn(side, { name, layout, extents }));
  if (!first || !second) return;
  const found = await compareSides([first.sample, second.sample], rounds);
  await Promise.all([first.close(), second.close()]);
  const [blas, portable] = found.medianSeconds.map((seconds) => (gigaflop / seconds).toFixed(1));
  row(`${name} (${layout})`, extents.join(' x '), blas ?? '', portable ?? '', ...ratios(found));
}

function productOn(
  side: (typeof sides)[number],
  { layout, extents: [m, n, k] }: Product,
): { sample(): Promise<Sample>; close(): Promise<void> } {
  const device = new Device(createCpuBackend(side), new MemoryBudget(Number.POSITIVE_INFINITY));
  const [transposeA, transposeB] = [layout === 'TN', layout === 'NT'];
  const operands = {
    a: waves(device, transposeA ? [k, m] : [m, k]),
    b: waves(device, transposeB ? [n, k] : [k, n]),
    out: waves(device, [m, n]),
  };
  return {
    sample: () => sampleSide(() => device.kernels.gemm({ ...operands, transposeA, transposeB })),
    close: async () => {
      for (const tensor of Object.values(operands)) tensor.dispose();
      await device.close();
    },
  };
}

function waves(device: Device, shape: readonly [number, number]): Tensor {
  const values = Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => Math.sin(i));
  const source = { bytes: new Uint8Array(values.buffer), dtype: 'float32' as const };
  return device.tensor(source, shape, 'float32', 'activations', 'wave');
}

async function writeSteps(folder: string, counts: StepCounts): Promise<void> {
  const { source, layout } = await openModel(folder);
  const task = {
    ...{ layout, source, loraRank: 8, sequences: 8, sequenceLength: 60 },
    ...{ steps: counts.steps + 1, budgetBytes: Number.POSITIVE_INFINITY },
  };
  const backends = sides.map((side) => createCpuBackend(side));
  const [first, second] = backends;
  if (!first || !second) return;
  const found = await compareSides(
    [() => sampleStep(task, first), () => sampleStep(task, second)],
    Math.ceil(counts.rounds / 3),
  );
  await Promise.all(backends.map((backend) => backend.close()));
  const [blas, portable] = found.medianSeconds.map((seconds) => `${(1e3 * seconds).toFixed(1)} ms`);
  row('a LoRA step', '8 rows of 60', blas ?? '', portable ?? '', ...ratios(found));
}

interface StepCounts {
  readonly rounds: number;
  readonly steps: number;
}

/** Medians of a run's steps but the first, all weights and saved tensors kept. */
async function sampleStep(task: TrainingTask, backend: Backend): Promise<Sample> {
  const { source, layout } = task;
  const device = new Device(backend, new MemoryBudget(Number.POSITIVE_INFINITY));
  const memory = {
    pagerBytes: allDeviceBytes(source, device),
    keptBlocks: blocksBeforeLoss(layout, layout.linears),
  };
  const processorSeconds: number[] = [];
  let before = process.cpuUsage();
  const { seconds } = await runTraining(task, backend, {
    ...{ memory, reads: 'real' },
    onStep: () => {
      const { user, system } = process.cpuUsage(before);
      processorSeconds.push((user + system) / 1e6);
      before = process.cpuUsage();
    },
  });
  return {
    seconds: median(seconds.slice(1)),
    processorSeconds: median(processorSeconds.slice(1)),
  };
}

function ratios({ ratio, shortestRatio }: Comparison): [string, string] {
  return [ratio.toFixed(2), shortestRatio.toFixed(2)];
}

function row(...cells: readonly string[]): void {
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
}
