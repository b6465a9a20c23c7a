import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSafetensors, type SafetensorsEntry } from '@emloc/checkpoint';
import type { EncodedRow } from '@emloc/dataset';
import { cpuProfile } from '@emloc/device-cpu';
import { layoutOf, openModel, type Model, type ModelLinear } from '@emloc/models';
import { consecutive, TextRows } from '@emloc/tasks';

import { startingAdapter, type Job } from '../job/job.js';
import { textTask } from '../job/text-task.js';
import { withModality } from '../options/modality.js';
import { defaultTuneOptions } from '../options/resolve.js';
import { runTrainStage } from '../stages/train.js';
import { createNullRun } from './null-run.js';

const rank = 4;
const hiddenSize = 48;
const rowLengths = [23, 9, 30];
const rows = rowLengths.reduce((sum, length) => sum + length, 0);

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-blocks-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** A Qwen2 checkpoint of zeros: the null device reads none of it. */
async function openSynthetic(blocks: number): Promise<Model> {
  const config = {
    architectures: ['Qwen2ForCausalLM'],
    hidden_size: hiddenSize,
    intermediate_size: 132,
    vocab_size: 256,
    num_hidden_layers: blocks,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    max_position_embeddings: 64,
    tie_word_embeddings: true,
  };
  const model = join(folder, String(blocks));
  await mkdir(model);
  await writeFile(join(model, 'config.json'), JSON.stringify(config));
  const entries = layoutOf(config)
    .pages.flatMap(({ tensors }) => tensors)
    .map(({ checkpointName, shape }): SafetensorsEntry => ({
      name: checkpointName,
      shape,
      dtype: 'bfloat16',
      data: () => new Uint8Array(2 * shape.reduce((product, extent) => product * extent, 1)),
    }));
  await writeSafetensors(join(model, 'model.safetensors'), entries, {});
  return openModel(model);
}

/** Those of one layer: all layers have the same. */
function linearsOfBlock({ layout }: Model): readonly ModelLinear[] {
  return layout.linears.filter(({ block }) => block === 1);
}

function rowOf(length: number): EncodedRow {
  return { ids: new Int32Array(length), trained: new Uint8Array(length).fill(1, 1), line: 1 };
}

function jobOn(model: Model): Job<TextRows> {
  const trainRows = new TextRows(rowLengths.map(rowOf));
  return {
    options: {
      ...withModality(
        { ...defaultTuneOptions, model: '', data: '', out: '', rank, alpha: 8, learningRate: 1e-3 },
        model.layout,
      ),
      date: '2026-01-31',
      maxLength: Math.max(...rowLengths),
    },
    whole: model,
    frontBlocks: 0,
    model,
    task: textTask(null),
    sampler: null,
    trainRows,
    calibration: { source: trainRows, rows: [] },
    validation: { source: trainRows, rows: [[0]] },
    longestRow: Math.max(...rowLengths),
    training: {
      batches: [consecutive(rowLengths.length, rowLengths.length)],
      schedule: { kind: 'constant', learningRate: 1e-3, steps: 1, warmupRatio: 0 },
    },
    start: null,
    refinement: null,
    emulated: [],
    levels: null,
    variant: null,
    id: 'synthetic',
    report: {} as Job['report'],
    close: () => model.close(),
    [Symbol.asyncDispose]: () => model.close(),
  };
}

/**
 * Peak of the train stage without weights, and how many blocks' forwards the backward found kept.
 */
async function trainingPeak(
  blocks: number,
  keptBlocks: number,
): Promise<{ peakBytes: number; linears: readonly ModelLinear[] }> {
  const model = await openSynthetic(blocks);
  const job = jobOn(model);
  const stage = { pagerBytes: null, keptBlocks };
  const run = createNullRun(job, {
    profile: cpuProfile,
    exclude: ['weights'],
    memory: { front: stage, emulate: stage, train: stage, correct: stage, refine: stage },
  });
  try {
    await runTrainStage(run, {
      stage: 'train',
      levels: [{ source: model.source, emulated: [], steps: job.training.batches.length }],
      adapter: startingAdapter(job),
      plan: job.training,
      evaluateBefore: false,
    });
    const [report] = run.environment.clock.reports();
    expect(run.environment.device.liveTensors).toBe(0);
    return { peakBytes: report?.peakDeviceBytes ?? Number.NaN, linears: linearsOfBlock(model) };
  } finally {
    await run.close();
    await job.close();
    await rm(join(folder, String(blocks)), { recursive: true });
  }
}

function allocated(elements: number): number {
  return Math.ceil((4 * elements) / cpuProfile.allocationBytes) * cpuProfile.allocationBytes;
}

/** A, B, their gradients and two moments each, float32. */
function loraStateBytes(linears: readonly ModelLinear[]): number {
  return linears.reduce(
    (sum, { inFeatures, outFeatures }) =>
      sum + 4 * (allocated(rank * inFeatures) + allocated(outFeatures * rank)),
    0,
  );
}

describe('with recomputation, memory beyond weights', () => {
  it("grows per block by that block's LoRA state and its kept input, and by nothing else", async () => {
    const four = await trainingPeak(4, 0);
    const eight = await trainingPeak(8, 0);
    const sixteen = await trainingPeak(16, 0);
    const perBlock = loraStateBytes(four.linears) + allocated(rows * hiddenSize);
    // One gradient norm for each of a block's matrices: float32 in one tensor for the whole
    // adapter.
    const norms = (blocks: number): number => allocated(blocks * four.linears.length * 2);
    expect(eight.peakBytes - four.peakBytes).toBe(4 * perBlock + norms(8) - norms(4));
    expect(sixteen.peakBytes - eight.peakBytes).toBe(8 * perBlock + norms(16) - norms(8));
  });

  it('is far below what keeping every block takes', async () => {
    const recomputed = await trainingPeak(8, 0);
    const kept = await trainingPeak(8, 8);
    expect(kept.peakBytes - recomputed.peakBytes).toBeGreaterThan(7 * 4 * rows * hiddenSize * 3);
  });
});
