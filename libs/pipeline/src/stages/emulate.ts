import { get } from '@emloc/checked';
import type { Tensor } from '@emloc/device';
import {
  factorize,
  planStatistics,
  statisticFor,
  StatisticsAccumulator,
  type LayerStatistics,
  type StatisticPlan,
} from '@emloc/emulator';
import { BreadthFirstPass, inferenceOrder } from '@emloc/finetune';
import { sliceSource } from '@emloc/models';

import type { EmulatedLayerReport } from '../job/emulated-layer-report.js';
import type { EmulatedLinear } from '../job/emulated-linear.js';
import { openLinearPager, openModelPager, type JobEnvironment } from '../job/environment.js';
import type { BlockFactors, StoredFactors } from '../job/factor-store.js';
import type { JobRun } from '../job/job-run.js';
import type { Job } from '../job/job.js';
import { weightSlice } from './weight-slice.js';

/** The statistics of one block, as they leave calibration. */
export interface BlockStatistics {
  readonly block: number;
  readonly statistics: LayerStatistics;
}

/**
 * Calibrates and emulates block after block: statistics of one block live only until its factors
 * are stored. Blocks that the store has are not made again.
 */
export async function buildEmulator(run: JobRun): Promise<readonly EmulatedLayerReport[]> {
  const { job } = run;
  const { clock, factors: store } = run.environment;
  const reports = new Map(await store.finished());
  if (job.emulated.every(({ block }) => reports.has(block))) return reportsInOrder(job, reports);
  using _stages = clock.during('calibrate', 'emulate');
  clock.enter('calibrate');
  for await (const calibrated of calibrate(run, { skip: new Set(reports.keys()) })) {
    clock.enter('emulate');
    const emulated = await emulateBlock(run, calibrated);
    await store.put(calibrated.block, emulated.factors, emulated.reports);
    reports.set(calibrated.block, emulated.reports);
    clock.enter('calibrate');
  }
  return reportsInOrder(job, reports);
}

function reportsInOrder(
  { emulated }: Job,
  reports: ReadonlyMap<number, readonly EmulatedLayerReport[]>,
): readonly EmulatedLayerReport[] {
  return [...new Set(emulated.map(({ block }) => block))].flatMap(
    (block) => reports.get(block) ?? [],
  );
}

export interface CalibrateOptions {
  /** Blocks whose statistics are not needed. */
  readonly skip?: ReadonlySet<number>;
}

/**
 * Streams the calibration set through the original and yields each block's statistics, up to the
 * last emulated block that is not skipped.
 */
export async function* calibrate(
  { job, environment }: JobRun,
  { skip = new Set() }: CalibrateOptions = {},
): AsyncGenerator<BlockStatistics> {
  const { device } = environment;
  const { layout, source } = job.model;
  const needed = job.emulated.filter(({ block }) => !skip.has(block));
  if (needed.length === 0) return;
  const lastBlock = Math.max(...needed.map(({ block }) => block));
  await using pager = openModelPager(environment, source, 'emulate');
  pager.schedule(inferenceOrder(layout, lastBlock + 1));
  using pass = new BreadthFirstPass({
    model: { device, layout, pager, longestRow: job.longestRow },
    batches: job.calibration,
    variants: [null],
    signal: environment.signal,
  });
  for (const block of layout.blocks.slice(0, lastBlock + 1)) {
    const plans = statisticPlans(needed, block.index);
    using accumulator = new StatisticsAccumulator(device, block.path, plans);
    await pass.run(block, { onLinear: (linear, x, y) => accumulator.observe(linear, x, y) });
    environment.observer({
      type: 'progress',
      stage: 'calibrate',
      task: 'calibrating',
      done: block.index + 1,
      total: lastBlock + 1,
    });
    if (plans.length > 0) yield { block: block.index, statistics: await accumulator.finish() };
  }
}

/** Factorises the emulated layers of one block, whose weights are paged in for it. */
export async function emulateBlock(
  { job, environment }: JobRun,
  { block, statistics }: BlockStatistics,
): Promise<Omit<BlockFactors, 'block'>> {
  const linears = job.emulated.filter((linear) => linear.block === block);
  const before = job.emulated.findIndex((linear) => linear.block === block);
  await using weights = openLinearPager(
    environment,
    sliceSource(
      job.model.source,
      linears.map((linear) => weightSlice(job, linear)),
    ),
  );
  const factors: StoredFactors[] = [];
  const reports: EmulatedLayerReport[] = [];
  weights.schedule(linears.map((_, index) => index));
  for (const [index, linear] of linears.entries()) {
    environment.signal?.throwIfAborted();
    using lease = await weights.acquire(index);
    const weight = get(lease.tensors, `${linear.name}.weight`);
    const { stored, report } = await emulateLinear(environment, { linear, weight, statistics });
    factors.push(stored);
    reports.push(report);
    environment.observer({
      type: 'progress',
      stage: 'emulate',
      task: 'factorising',
      done: before + index + 1,
      total: job.emulated.length,
    });
  }
  return { factors, reports };
}

function statisticPlans(
  emulated: readonly EmulatedLinear[],
  block: number,
): readonly StatisticPlan[] {
  return planStatistics(emulated.filter((linear) => linear.block === block));
}

async function emulateLinear(
  { device }: JobEnvironment,
  {
    linear,
    weight,
    statistics,
  }: { linear: EmulatedLinear; weight: Tensor; statistics: LayerStatistics },
): Promise<{ stored: StoredFactors; report: EmulatedLayerReport }> {
  const { path, ratio, rank } = linear;
  const factors = await factorize({
    device,
    weight,
    statistic: statisticFor(statistics, linear.name),
    rank,
  });
  using v = factors.v;
  using u = factors.u;
  return {
    stored: { linear, u: await bytesOf(u), v: await bytesOf(v) },
    report: {
      name: path,
      ratio,
      rank,
      relativeError: factors.relativeError,
      usedFallback: factors.usedFallback,
    },
  };

  async function bytesOf(tensor: Tensor): Promise<Uint8Array> {
    const bytes = new Uint8Array(tensor.byteLength);
    await device.downloadBytes(tensor, bytes);
    return bytes;
  }
}
