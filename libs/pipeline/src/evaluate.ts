import { type LoraAdapter, readPeftAdapter } from '@emloc/checkpoint';
import { loadDataset, loadTokenizer, type PackedBatch } from '@emloc/dataset';
import { Device, type DeviceProfile, formatBytes, MemoryBudget } from '@emloc/device';
import { createNullBackend } from '@emloc/device-null';
import { DeviceAdapter, evaluate, type Evaluation } from '@emloc/finetune';
import { linearModules, type Model, openModel } from '@emloc/models';
import { deviceBytes, minimumDeviceBytes, openPager, type PagerObserver } from '@emloc/weight-pager';
import { inferenceBytes } from './default-budget.js';
import { PipelineError } from './errors.js';
import { heaviestBatches } from './heaviest-batches.js';
import { packAll } from './job.js';
import type { DeviceTarget } from './tune.js';

export interface EvaluateOptions {
  readonly model: string;
  /** A PEFT adapter's folder; null: the base model. */
  readonly adapter: string | null;
  readonly data: string;
  /** The first so many rows; null: all. */
  readonly limit: number | null;
  readonly vramBytes: number | null;
  readonly hostBytes: number;
  readonly batch: number;
  readonly maxLength: number;
  readonly prefetch: boolean;
}

export const defaultEvaluateOptions = Object.freeze({
  adapter: null, limit: null, vramBytes: null, hostBytes: Number.POSITIVE_INFINITY, batch: 8, maxLength: 1024, prefetch: true,
} satisfies Omit<EvaluateOptions, 'model' | 'data'>);

/** Fills in the defaults and checks the numbers. @throws PipelineError */
export function resolveEvaluateOptions(options: Partial<EvaluateOptions> & Pick<EvaluateOptions, 'model' | 'data'>): EvaluateOptions {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const resolved = { ...defaultEvaluateOptions, ...given } as EvaluateOptions;
  for (const name of ['limit', 'batch', 'maxLength', 'vramBytes'] as const) {
    const value = resolved[name];
    if (value !== null && !(Number.isSafeInteger(value) && value > 0)) {
      throw new PipelineError('PIPELINE_INVALID_OPTION', `option ${name}: ${value} given, a positive whole number expected`);
    }
  }
  return Object.freeze(resolved);
}

/** Scores of a model on a data set, as `eval` prints them. */
export interface EvaluateReport extends Evaluation {
  readonly perplexity: number;
  readonly budgetBytes: number;
  readonly peakDeviceBytes: number;
  readonly seconds: number;
}

export interface EvaluateHost {
  readonly target: DeviceTarget;
  readonly onProgress?: (done: number, total: number) => void;
  readonly pagerObserver?: PagerObserver;
  readonly signal?: AbortSignal;
}

interface Evaluated {
  readonly options: EvaluateOptions;
  readonly model: Model;
  readonly adapter: LoraAdapter | null;
  readonly batches: readonly PackedBatch[];
}

/** Streams a model (with an adapter or without) over a data set within a budget. */
export async function evaluateModel(options: EvaluateOptions, host: EvaluateHost): Promise<EvaluateReport> {
  const started = performance.now();
  const model = await openModel(options.model);
  try {
    const adapter = options.adapter === null ? null : await readPeftAdapter(options.adapter, { linearModules: linearModules(model.layout) });
    const tokenizer = await loadTokenizer(options.model);
    const dataset = await loadDataset({ path: options.data, tokenizer, maxLength: Math.min(options.maxLength, model.layout.maxPositions) });
    const batches = packAll(dataset.rows.slice(0, options.limit ?? undefined), options.batch);
    const evaluated = { options, model, adapter, batches };
    const { profile } = host.target;
    const budgetBytes = options.vramBytes ?? (await inferenceBytes(model, profile, longestRow(batches)));
    const pagerBytes = await weightBytes(evaluated, profile, budgetBytes);
    const budget = new MemoryBudget(budgetBytes);
    const device = new Device(await host.target.open(), budget);
    try {
      const evaluation = await run(evaluated, { device, pagerBytes, reads: 'real', host });
      return {
        ...evaluation, perplexity: Math.exp(evaluation.loss), budgetBytes, peakDeviceBytes: budget.peakBytes,
        seconds: (performance.now() - started) / 1000,
      };
    } finally {
      await device.close();
    }
  } finally {
    await model.close();
  }
}

async function run(
  { options, model, adapter, batches }: Evaluated,
  { device, pagerBytes, reads, host }: { device: Device; pagerBytes: number; reads: 'real' | 'none'; host: Partial<EvaluateHost> },
): Promise<Evaluation> {
  const { source, layout } = model;
  const { hostBytes, prefetch } = options;
  const pager = openPager({ device, source, deviceBytes: pagerBytes, hostBytes, prefetch, reads, observer: host.pagerObserver, signal: host.signal });
  try {
    const variant = adapter && DeviceAdapter.load(device, layout, adapter, { trainable: false });
    try {
      const [evaluation] = await evaluate({
        model: { device, layout, pager }, batches, variants: [variant], signal: host.signal, onProgress: host.onProgress,
      });
      if (!evaluation) throw new Error('evaluation gave no result');
      return evaluation;
    } finally {
      variant?.dispose();
    }
  } finally {
    await pager.close();
  }
}

/** What the budget leaves for weights beside the heaviest batch. @throws PipelineError PIPELINE_DOES_NOT_FIT */
async function weightBytes(evaluated: Evaluated, profile: DeviceProfile, budgetBytes: number): Promise<number> {
  const { source } = evaluated.model;
  const budget = new MemoryBudget(Number.POSITIVE_INFINITY);
  const device = new Device(createNullBackend(profile), budget);
  const scope = budget.openPeakScope(['weights']);
  const least = minimumDeviceBytes(source, device);
  await run({ ...evaluated, batches: heaviestBatches(evaluated.batches) }, { device, pagerBytes: least, reads: 'none', host: {} });
  await device.close();
  const besideBytes = scope.close();
  if (besideBytes + least > budgetBytes) {
    throw new PipelineError(
      'PIPELINE_DOES_NOT_FIT',
      `evaluation does not fit into ${formatBytes(budgetBytes)}: it needs at least ${formatBytes(besideBytes + least)}; a smaller batch needs less`,
    );
  }
  const all = source.layers.reduce((sum, layer) => sum + deviceBytes(layer, device), 0);
  return Math.min(all, budgetBytes - besideBytes);
}

function longestRow(batches: readonly PackedBatch[]): number {
  return Math.max(2, ...batches.flatMap(({ offsets }) => offsets.slice(1).map((end, index) => end - (offsets[index] ?? 0))));
}
