import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { at } from '@emloc/checked';
import type { DeviceTarget } from '@emloc/device';
import { deviceTarget } from '@emloc/device-registry';
import { evaluateModel, resolveEvaluateOptions, resolveTuneOptions, tune } from '@emloc/pipeline';

import { qualityExample, type QualityExample } from './quality-examples.js';
import { qualityTable, summarise, type QualityRun, type QualityScore } from './quality-summary.js';
import type { QualityVariant } from './quality-variants.js';

const help = `usage: npm run bench -- quality [--example text|anchors|images] [--steps N] [--seeds 0,1,2] [--lr X] [--limit N] [--device cpu] [--json]
Fine-tunes the example's model in several ways for each seed and scores them on the test rows: text is examples/models/demo-5m
(200 steps, rate 3e-3, 300 rows), anchors the same with as many passes over the original on the way or at the end, images examples/images/model (600 steps, rate 3e-3, 200 rows). Run it from the repository root.
`;

/** Holds everything: a budget does not change a result, and paging would only take time. */
const vramBytes = 2 ** 31;

interface QualityFlags {
  readonly example: QualityExample;
  readonly steps: number;
  readonly seeds: readonly number[];
  readonly learningRate: number;
  readonly limit: number;
}

interface QualityBench extends QualityFlags {
  readonly target: DeviceTarget;
  readonly device: string;
  /** Holds the adapters while they are scored. */
  readonly folder: string;
}

/**
 * `bench quality`: every variant with every seed, each through the functions that `emloc tune` and
 * `emloc eval` call.
 */
export async function measure(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      example: { type: 'string', default: 'text' },
      steps: { type: 'string' },
      seeds: { type: 'string', default: '0,1,2' },
      lr: { type: 'string' },
      limit: { type: 'string' },
      device: { type: 'string', default: 'cpu' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const example = qualityExample(values.example);
  const flags = {
    example,
    steps: Number(values.steps ?? example.flags.steps),
    seeds: values.seeds.split(',').map(Number),
    learningRate: Number(values.lr ?? example.flags.lr),
    limit: Number(values.limit ?? example.flags.limit),
  };
  const folder = await mkdtemp(join(tmpdir(), 'emloc-quality-'));
  try {
    const target = deviceTarget(values.device);
    await compare({ ...flags, target, device: target.description, folder }, values.json);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return 0;
}

async function compare(bench: QualityBench, isJson: boolean): Promise<void> {
  const { example, steps, seeds, learningRate, device, limit } = bench;
  const { model, train, test, options, variants } = example;
  const base = await score(bench, null);
  say(`base: loss ${base.loss.toFixed(4)}`);
  const runs: QualityRun[][] = variants.map(() => []);
  for (const seed of seeds) {
    for (const [index, variant] of variants.entries())
      at(runs, index).push(await runVariant(bench, variant, seed));
  }
  const rows = summarise(base, variants, runs);
  const common = { model, data: train, test, ...options, vramBytes };
  const conditions = { ...common, limit, steps, seeds, learningRate, device };
  if (isJson) process.stdout.write(`${JSON.stringify({ conditions, base, rows })}\n`);
  else
    process.stdout.write(
      `${qualityTable(base, rows)}\n\n${steps} steps, learning rate ${learningRate}, seeds ${seeds.join(', ')}; ${device}\n`,
    );
}

async function runVariant(
  bench: QualityBench,
  { name, options, levels }: QualityVariant,
  seed: number,
): Promise<QualityRun> {
  const { example, steps, learningRate, target, device } = bench;
  const { model, train: data } = example;
  const out = join(bench.folder, 'adapter');
  const common = { model, data, ...example.options, vramBytes };
  const length = levels ? { levels: levels(steps) } : { steps };
  const resolved = resolveTuneOptions({
    ...common,
    ...options,
    ...length,
    out,
    learningRate,
    seed,
  });
  const started = performance.now();
  const report = await tune(resolved, {
    target,
    overwrite: true,
    provenance: { program: 'emloc bench', device },
  });
  const tuneSeconds = (performance.now() - started) / 1000;
  const { loss, exactMatch } = await score(bench, out);
  const correction = report.correction?.chosen ?? null;
  say(
    `seed ${seed}, ${name}: loss ${loss.toFixed(4)}, ${tuneSeconds.toFixed(0)} s${correction === null ? '' : `, correction ${correction}`}`,
  );
  return {
    seed,
    loss,
    exactMatch,
    tuneSeconds,
    peakDeviceBytes: report.peakDeviceBytes,
    correction,
  };
}

async function score(
  { example, target, limit }: QualityBench,
  adapter: string | null,
): Promise<QualityScore> {
  const { batch, maxLength } = example.options;
  const given = { model: example.model, data: example.test, batch, maxLength, vramBytes };
  const options = resolveEvaluateOptions({ ...given, adapter, limit });
  const { loss, exactMatch } = await evaluateModel(options, { target });
  return { loss, exactMatch };
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
