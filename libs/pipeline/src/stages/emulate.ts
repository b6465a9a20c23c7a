import { Buffer } from 'node:buffer';
import type { Tensor } from '@emloc/device';
import {
  factorize,
  gradientStatisticFor,
  statisticFor,
  StatisticsMemory,
  type LayerStatistics,
} from '@emloc/emulator';

import type { EmulatedLayerReport } from '../job/emulated-layer-report.js';
import type { EmulatedLinear } from '../job/emulated-linear.js';
import type { BlockFactors, StoredFactors } from '../job/factor-store.js';
import type { JobRun } from '../job/job-run.js';
import type { Job } from '../job/job.js';
import { calibrate, type BlockStatistics } from './calibrate.js';
import { pagedWeights, weightsAmong } from './linear-weights.js';

/**
 * Calibrates and emulates block after block: statistics of one block live only until its factors
 * are stored. Blocks that the store has are not made again.
 */
export async function buildEmulator(run: JobRun): Promise<readonly EmulatedLayerReport[]> {
  const { job } = run;
  const { clock, device, factors: store, reads } = run.environment;
  const reports = new Map(await store.finished());
  if (job.emulated.every(({ block }) => reports.has(block))) return reportsInOrder(job, reports);
  using _stages = clock.during('calibrate', 'emulate');
  clock.enter('calibrate');
  await using memory = reads === 'real' ? new StatisticsMemory(device) : null;
  /** Of the block before: it is stored while the next one is calibrated. */
  let storing = Promise.resolve();
  try {
    const skip = new Set(reports.keys());
    for await (const calibrated of calibrate(run, { skip, memory, withWeights: true })) {
      clock.enter('emulate');
      const { factors, reports: ofBlock } = await emulateBlock(run, calibrated);
      await storing;
      storing = store.put(calibrated.block, factors, ofBlock);
      storing.catch(() => 'told where it is awaited');
      reports.set(calibrated.block, ofBlock);
      clock.enter('calibrate');
    }
  } finally {
    await storing;
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

/**
 * Factorises the emulated layers of one block, whose weights are paged in where they do not come
 * with its statistics.
 */
export async function emulateBlock(
  run: JobRun,
  { block, statistics, tensors }: BlockStatistics,
): Promise<Omit<BlockFactors, 'block'>> {
  const { job, environment } = run;
  const linears = job.emulated.filter((linear) => linear.block === block);
  const before = job.emulated.findIndex((linear) => linear.block === block);
  await using weights = tensors ? weightsAmong(tensors, linears) : pagedWeights(run, linears);
  const factors: StoredFactors[] = [];
  const reports: EmulatedLayerReport[] = [];
  for (const [index, linear] of linears.entries()) {
    environment.signal?.throwIfAborted();
    using held = await weights.acquire(index);
    const { weight } = held;
    const { stored, report } = await emulateLinear(run, { linear, weight, statistics });
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

async function emulateLinear(
  { job: { options }, environment: { device } }: JobRun,
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
    gradient: gradientStatisticFor(statistics, linear.name),
    rank,
    choice: options.factors,
    seed: `${options.seed} ${path}`,
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
      solver: factors.solver,
      usedFallback: factors.usedFallback,
    },
  };

  async function bytesOf(tensor: Tensor): Promise<Uint8Array> {
    const blank = device.blank(Math.ceil(tensor.byteLength / 4));
    if (blank) return new Uint8Array(blank.buffer, 0, tensor.byteLength);
    // Not cleared before it is overwritten.
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(tensor.byteLength).buffer);
    await device.downloadBytes(tensor, bytes);
    return bytes;
  }
}
