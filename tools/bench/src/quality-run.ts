import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { at, last } from '@emloc/checked';
import type { DeviceTarget } from '@emloc/device';
import { openModel } from '@emloc/models';
import {
  evaluateModel,
  parseLevels,
  resolveEvaluateOptions,
  resolveTuneOptions,
  tune,
  type Level,
  type TuneOptions,
} from '@emloc/pipeline';

import type { QualityExample } from './quality-examples.js';
import { QualityMeter, type StepEvent, type StepKind } from './quality-meter.js';
import type { QualityRun, QualityScore } from './quality-summary.js';
import type { QualityVariant } from './quality-variants.js';

export interface QualityBench {
  readonly example: QualityExample;
  readonly steps: number;
  readonly learningRate: number;
  readonly limit: number;
  readonly vramBytes: number;
  /** Steps of a level at most, for times alone; null: all, and the result is scored. */
  readonly timedSteps: number | null;
  readonly target: DeviceTarget;
  readonly device: string;
  /** Holds the adapters while they are scored. */
  readonly folder: string;
}

/** Tunes as a row says through the function that `emloc tune` calls, and scores the adapter. */
export async function runVariant(
  bench: QualityBench,
  variant: QualityVariant,
  seed: number,
): Promise<QualityRun> {
  const { target, device, timedSteps } = bench;
  const out = join(bench.folder, 'adapter');
  const options = resolveTuneOptions({ ...(await optionsOf(bench, variant)), out, seed });
  const meter = new QualityMeter(kindsOf(options));
  const started = performance.now();
  const report = await tune(options, {
    target,
    overwrite: true,
    provenance: { program: 'emloc bench', device },
    observer: (event) => meter.observe(event),
  });
  const tuneSeconds = (performance.now() - started) / 1000;
  const scored = timedSteps === null ? await score(bench, out) : { loss: 0, exactMatch: 0 };
  return {
    ...{ seed, ...scored, tuneSeconds },
    peakDeviceBytes: report.peakDeviceBytes,
    correction: report.correction?.chosen ?? null,
    work: meter.workOf(report),
  };
}

/** On the test rows, through the function that `emloc eval` calls. */
export async function score(
  { example, target, limit, vramBytes }: QualityBench,
  adapter: string | null,
): Promise<QualityScore> {
  const { batch, maxLength } = example.options;
  const given = { model: example.model, data: example.test, batch, maxLength, vramBytes };
  const options = resolveEvaluateOptions({ ...given, adapter, limit });
  const { loss, exactMatch } = await evaluateModel(options, { target });
  return { loss, exactMatch };
}

async function optionsOf(
  { example, steps, learningRate, vramBytes, timedSteps }: QualityBench,
  { options, levels }: QualityVariant,
) {
  const { model, train: data } = example;
  const { batch } = example.options;
  const rows = (await readFile(data, 'utf8')).trimEnd().split('\n').length;
  const said = levels?.({ steps, batch, rows });
  const length = said === undefined ? { steps } : { levels: said };
  const given = { model, data, ...example.options, vramBytes, learningRate, ...length, ...options };
  return timedSteps === null ? given : { ...given, ...shortened(given, timedSteps) };
}

/** A job of the same kinds of steps, a few of each. */
function shortened(
  {
    levels,
    steps,
  }: { readonly levels?: string | null | undefined; readonly steps?: number | null | undefined },
  most: number,
): Partial<TuneOptions> {
  if (levels === undefined || levels === null) return { steps: Math.min(steps ?? most, most) };
  return {
    levels: levels.replace(/:(\d+)/g, (_, count: string) => `:${Math.min(Number(count), most)}`),
  };
}

/** What the steps of a job are. */
function kindsOf(options: TuneOptions): (event: StepEvent) => StepKind {
  const { ratios, levels: text, batch, gradientAccumulation, anchorRows } = options;
  const levels: readonly Level[] = text === null ? [] : parseLevels('levels', text);
  const ofStep = (own: number | null): number =>
    (own ?? batch ?? defaultBatch) * (gradientAccumulation ?? 1);
  const bare = Number(ratios.find((ratio) => !ratio.includes('=')) ?? 0.5);
  const original = levels.find(({ ratio }) => ratio === 1);
  return ({ stage, level, anchor }) => {
    if (anchor) return { ratio: 1, rows: anchorRows ?? defaultAnchorRows };
    if (stage === 'refine') return { ratio: 1, rows: ofStep(original?.batch ?? null) };
    if (levels.length === 0) return { ratio: bare, rows: ofStep(null) };
    const { ratio, batch: own } = at(levels, level - 1);
    return { ratio, rows: ofStep(own) };
  };
}

const [defaultBatch, defaultAnchorRows] = [8, 64];

/** Share of the head's weights in those of the head and the linear layers that can be emulated. */
export async function headShareOf(folder: string): Promise<number> {
  await using model = await openModel(folder);
  const { linears, text } = model.layout;
  const weights = linears.reduce((sum, { inFeatures, outFeatures }) => {
    return sum + inFeatures * outFeatures;
  }, 0);
  // What the last linear layer gives is what the head takes.
  const head = (text?.vocabularySize ?? 0) * last(linears).outFeatures;
  return head / (head + weights);
}
