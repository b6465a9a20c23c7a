import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { at } from '@emloc/checked';
import type { DeviceTarget } from '@emloc/device';
import { deviceTarget } from '@emloc/device-registry';
import { evaluateModel, resolveEvaluateOptions, resolveTuneOptions, tune } from '@emloc/pipeline';

import { qualityTable, summarise, type QualityRun, type QualityScore } from './quality-summary.js';
import { qualityVariants, type QualityVariant } from './quality-variants.js';

const help = `usage: npm run bench -- quality [--steps 200] [--seeds 0,1,2] [--lr 3e-3] [--limit 300] [--device cpu] [--json]
Fine-tunes examples/models/demo-5m on examples/data/train.jsonl in four ways for each seed and scores them on the test rows.
Run it from the repository root.
`;

/**
 * What all runs have in common. The budget holds everything: it does not change a result, and
 * paging would only take time.
 */
const shared = Object.freeze({
  model: 'examples/models/demo-5m',
  data: 'examples/data/train.jsonl',
  batch: 8,
  rank: 8,
  alpha: 16,
  maxLength: 128,
  vramBytes: 2 ** 31,
});
const test = Object.freeze({
  model: shared.model,
  data: 'examples/data/test.jsonl',
  batch: 8,
  maxLength: 128,
  vramBytes: 2 ** 31,
});

interface QualityFlags {
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
      steps: { type: 'string', default: '200' },
      seeds: { type: 'string', default: '0,1,2' },
      lr: { type: 'string', default: '3e-3' },
      limit: { type: 'string', default: '300' },
      device: { type: 'string', default: 'cpu' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const flags = {
    steps: Number(values.steps),
    seeds: values.seeds.split(',').map(Number),
    learningRate: Number(values.lr),
    limit: Number(values.limit),
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
  const { steps, seeds, learningRate, device, limit } = bench;
  const base = await score(bench, null);
  say(`base: loss ${base.loss.toFixed(4)}`);
  const runs: QualityRun[][] = qualityVariants.map(() => []);
  for (const seed of seeds) {
    for (const [index, variant] of qualityVariants.entries())
      at(runs, index).push(await runVariant(bench, variant, seed));
  }
  const rows = summarise(base, qualityVariants, runs);
  const conditions = { ...shared, test: test.data, limit, steps, seeds, learningRate, device };
  if (isJson) process.stdout.write(`${JSON.stringify({ conditions, base, rows })}\n`);
  else
    process.stdout.write(
      `${qualityTable(base, rows)}\n\n${steps} steps, learning rate ${learningRate}, seeds ${seeds.join(', ')}; ${device}\n`,
    );
}

async function runVariant(
  bench: QualityBench,
  { name, options }: QualityVariant,
  seed: number,
): Promise<QualityRun> {
  const { steps, learningRate, target, device } = bench;
  const out = join(bench.folder, 'adapter');
  const resolved = resolveTuneOptions({ ...shared, ...options, out, steps, learningRate, seed });
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
  { target, limit }: QualityBench,
  adapter: string | null,
): Promise<QualityScore> {
  const { loss, exactMatch } = await evaluateModel(
    resolveEvaluateOptions({ ...test, adapter, limit }),
    { target },
  );
  return { loss, exactMatch };
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
