import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { deviceTarget } from '@emloc/device-registry';

import { slowedTarget } from './bench-device.js';
import { qualityCharts } from './quality-charts.js';
import { ownExample, qualityExample } from './quality-examples.js';
import type { LinkTimes } from './quality-meter.js';
import { linkTimes, mergeRecords, type QualityRecord } from './quality-record.js';
import { headShareOf, runVariant, score, type QualityBench } from './quality-run.js';
import { qualityTable, summarise, type NamedRun, type QualityRow } from './quality-summary.js';
import { parseRow, type QualityVariant } from './quality-variants.js';

const help = `usage: npm run bench -- quality [--example text|anchors|images] [--steps N] [--seeds 0,1,2] [--lr X] [--limit N] [--device cpu] [--json]
       npm run bench -- quality --model DIR --data train.jsonl --test test.jsonl [the same flags]
       npm run bench -- quality --from FILE [--from FILE ...] [--times FILE ...] [--charts FOLDER] [--json]
Fine-tunes a model in several ways for each seed and scores them on the test rows: text is examples/models/demo-5m (200 steps, rate 3e-3,
300 rows), anchors the same with as many passes over the original on the way or at the end, images examples/images/model (600 steps, rate
3e-3, 200 rows); a model of one's own, such as examples/math/pretrain.py makes, has 300 steps of 16 rows at 2e-3 and 256 test rows. Run it
from the repository root.

--only PATTERN      rows whose names match; --row JSON adds one: {"name": "...", "options": {"levels": "0.25:300,1:30x64"}}
--vram BYTES        the budget (default: 2 GiB, which pages nothing small); --link-gbps X slows copies of weights to a card to X GB/s
--timed-steps N     so many steps of each kind and no scores, for their times alone
--from FILE         what --json wrote, by this command in any number of processes, as one table; --times FILE: seconds of the jobs, by the
                    steps and stages that it timed, a column for each link; --charts FOLDER: loss against seconds, arithmetic and passes
`;

/** Holds everything: a budget does not change a result, and paging would only take time. */
const roomyBytes = 2 ** 31;

/**
 * `bench quality`: every row with every seed, each through the functions that `emloc tune` and
 * `emloc eval` call.
 */
export async function measure(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      example: { type: 'string', default: 'text' },
      model: { type: 'string' },
      data: { type: 'string' },
      test: { type: 'string' },
      steps: { type: 'string' },
      seeds: { type: 'string', default: '0,1,2' },
      lr: { type: 'string' },
      limit: { type: 'string' },
      only: { type: 'string' },
      row: { type: 'string', multiple: true, default: [] },
      device: { type: 'string', default: 'cpu' },
      vram: { type: 'string' },
      'link-gbps': { type: 'string' },
      'timed-steps': { type: 'string' },
      from: { type: 'string', multiple: true, default: [] },
      times: { type: 'string', multiple: true, default: [] },
      charts: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  if (values.from.length > 0) {
    const record = mergeRecords(await Promise.all(values.from.map(readRecord)));
    const times = linkTimes(await Promise.all(values.times.map(readRecord)));
    const rows = print(record, times, values.json);
    if (values.charts !== undefined)
      for (const [name, svg] of qualityCharts(record.base, rows, times))
        await writeFile(join(values.charts, `${name}.svg`), svg);
    return 0;
  }
  const { model, data: train, test } = values;
  const example =
    model !== undefined && train !== undefined && test !== undefined
      ? ownExample({ model, train, test })
      : qualityExample(values.example);
  const added = values.row.map(parseRow);
  const only = new RegExp(values.only ?? '');
  const variants = [...example.variants, ...added].filter(({ name }) => only.test(name));
  const folder = await mkdtemp(join(tmpdir(), 'emloc-quality-'));
  try {
    const named = deviceTarget(values.device);
    const link = values['link-gbps'];
    const bench: QualityBench = {
      ...{ example, folder, device: named.description },
      target: link === undefined ? named : slowedTarget(values.device, named, 1e9 * Number(link)),
      steps: Number(values.steps ?? example.flags.steps),
      learningRate: Number(values.lr ?? example.flags.lr),
      limit: Number(values.limit ?? example.flags.limit),
      vramBytes: Number(values.vram ?? roomyBytes),
      timedSteps: values['timed-steps'] === undefined ? null : Number(values['timed-steps']),
    };
    const seeds = values.seeds.split(',').map(Number);
    const linkGbps = link === undefined ? null : Number(link);
    print(await compare(bench, { variants, seeds, linkGbps }), [], values.json);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return 0;
}

interface Compared {
  readonly variants: readonly QualityVariant[];
  readonly seeds: readonly number[];
  readonly linkGbps: number | null;
}

async function compare(
  bench: QualityBench,
  { variants, seeds, linkGbps }: Compared,
): Promise<QualityRecord> {
  const { example, steps, learningRate, device, limit, vramBytes, timedSteps } = bench;
  const { model, train: data, test, options } = example;
  const base = timedSteps === null ? await score(bench, null) : { loss: 0, exactMatch: 0 };
  say(`base: loss ${base.loss.toFixed(4)}`);
  const runs: NamedRun[] = [];
  for (const seed of seeds)
    for (const variant of variants) {
      const run = await runVariant(bench, variant, seed);
      const { loss, tuneSeconds, correction } = run;
      const corrected = correction === null ? '' : `, correction ${correction}`;
      say(
        `seed ${seed}, ${variant.name}: loss ${loss.toFixed(4)}, ${tuneSeconds.toFixed(0)} s${corrected}`,
      );
      runs.push({ name: variant.name, target: variant.target, steps, ...run });
    }
  const headShare = await headShareOf(model);
  const common = { model, data, test, ...options, vramBytes, headShare, linkGbps };
  return { conditions: { ...common, limit, learningRate, device }, base, runs };
}

async function readRecord(file: string): Promise<QualityRecord> {
  return JSON.parse(await readFile(file, 'utf8')) as QualityRecord;
}

function print(
  record: QualityRecord,
  times: readonly LinkTimes[],
  isJson: boolean,
): readonly QualityRow[] {
  const { conditions, base, runs } = record;
  const { headShare, learningRate, device } = conditions;
  const rows = summarise(base, runs, { headShare, times });
  const text = isJson
    ? JSON.stringify({ ...record, rows })
    : `${qualityTable(base, rows, times)}\n\nlearning rate ${learningRate}; ${device}`;
  process.stdout.write(`${text}\n`);
  return rows;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
