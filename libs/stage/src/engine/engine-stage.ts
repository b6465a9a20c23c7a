import { hostname } from 'node:os';
import { join } from 'node:path';
import { firstError } from '@emloc/checked';
import { FileHasher } from '@emloc/checkpoint';
import { Device, MemoryBudget, memoryCategories } from '@emloc/device';
import { deviceTarget, type CardUsage } from '@emloc/device-registry';
import { ImagePool } from '@emloc/images';
import { pathOfBlock, type ModelLayout } from '@emloc/models';
import { budgetBytesOf, type Job } from '@emloc/pipeline';
import {
  bringRows,
  DiskFactorStore,
  guardImages,
  inputMismatchIn,
  noTrainingStore,
  StageClock,
  type JobEnvironment,
  type JobRun,
  type PlanInputs,
  type ProcessMemory,
  type RowUse,
  type TrainingStore,
} from '@emloc/pipeline/stages';
import type { PagerObserver } from '@emloc/weight-pager';

import type {
  EngineEvent,
  EngineReport,
  EngineTask,
  LeftMemory,
  NamedBlock,
  RuntimeRequest,
} from '../contract.js';
import { guardedJob } from './guarded-job.js';
import { preparedJob } from './prepared-job.js';

/** A stage as its engine runs it. */
export interface EngineStage<R> {
  /** What of the job's budget this process takes, and how it divides it. */
  divide(inputs: PlanInputs): Promise<ProcessMemory & { readonly leave?: LeftMemory }>;
  /** Where the states of training live; default: nowhere. */
  readonly training?: TrainingStore;
  /** What the stage reads rows for; default: it reads none. */
  readonly uses?: readonly RowUse[];
  run(run: JobRun): Promise<R>;
}

interface Context {
  readonly signal: AbortSignal;
  emit(event: EngineEvent): void;
  request(request: RuntimeRequest): Promise<unknown>;
}

const sampleMs = 200;

/** Pagers that this thread has opened: their numbers are its own, whatever the task. */
let pagers = 0;

/**
 * Checks the job, waits for device memory, opens the device, runs the stage, and closes everything.
 * @throws the typed errors of every part
 */
export async function runEngineStage<R>(
  task: EngineTask,
  context: Context,
  stage: EngineStage<R>,
): Promise<R & { readonly report: EngineReport }> {
  const prepared = await preparedJob(task.job, task.options);
  const hasher = new FileHasher();
  try {
    const job = await guardedJob(prepared, { context, hasher });
    return await runOn(job, task, { context, stage });
  } catch (error) {
    throw inputMismatchIn(error) ?? error;
  } finally {
    await hasher.close();
  }
}

async function runOn<R>(
  job: Job,
  task: EngineTask,
  { context, stage }: { context: Context; stage: EngineStage<R> },
): Promise<R & { readonly report: EngineReport }> {
  const target = deviceTarget(task.device, task.threads);
  const { profile } = target;
  const totalBytes = await budgetBytesOf(job, profile);
  const { budgetBytes, memory, leave } = await stage.divide({
    job,
    profile,
    budgetBytes: totalBytes,
  });
  context.signal.throwIfAborted();
  // A card has one name in all containers; another device is as much its container's as its
  // machine's.
  const name = target.card?.uuid ?? `${hostname()}/${target.name}`;
  await context.request({ type: 'device', device: name, bytes: budgetBytes, totalBytes, leave });
  const budget = new MemoryBudget(budgetBytes);
  const device = new Device(await target.open(budgetBytes), budget);
  const clock = new StageClock(budget);
  const factors = new DiskFactorStore(join(task.scratch, 'factors'), {
    emulated: job.emulated,
    profile,
  });
  const reader = new ImagePool();
  const observers = openObservers(context, budget, target.card);
  try {
    const environment: JobEnvironment = {
      device,
      clock,
      memory,
      factors,
      training: stage.training ?? noTrainingStore,
      images: {
        reader,
        folder: task.scratch,
        onImage: guardImages(
          async (name, hash) => (await context.request({ type: 'input', name, hash })) as string,
        ),
      },
      reads: 'real',
      hostBytes: task.options.hostBytes,
      prefetch: task.options.prefetch,
      observer: observers.event,
      openPagerObserver: observers.openPager,
      signal: context.signal,
    };
    const given = { job, environment };
    const result = await stage.run(stage.uses ? await bringRows(given, stage.uses) : given);
    clock.leave();
    return { ...result, report: { ...totals(clock), device: target.description } };
  } finally {
    clock.leave();
    await closeAll([
      () => observers.flush(),
      () => reader[Symbol.asyncDispose](),
      () => factors.close(),
      () => device.close(),
    ]);
  }
}

/** Closes one after the other, whatever fails on the way. @throws the first failure */
async function closeAll(closes: readonly (() => Promise<void> | void)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const close of closes) {
    try {
      await close();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/** Blocks with their paths in the model. */
export function namedBlocks(layout: ModelLayout, blocks: Iterable<number>): readonly NamedBlock[] {
  return [...blocks].map((block) => ({ block, layer: pathOfBlock(layout, block) }));
}

/** Names the layer in whatever goes wrong there. */
export async function inLayer<T>(
  layer: string | (() => string),
  run: () => Promise<T>,
): Promise<T> {
  try {
    return await run();
  } catch (thrown) {
    const error = firstError(thrown);
    if (error instanceof Error && !('layer' in error))
      Object.assign(error, { layer: typeof layer === 'string' ? layer : layer() });
    throw error;
  }
}

function totals(clock: StageClock): Pick<EngineReport, 'seconds' | 'peakDeviceBytes'> {
  const reports = clock.reports();
  return {
    seconds: reports.reduce((sum, { seconds }) => sum + seconds, 0),
    peakDeviceBytes: reports.reduce(
      (peak, { peakDeviceBytes }) => Math.max(peak, peakDeviceBytes),
      0,
    ),
  };
}

interface Observers {
  readonly event: (event: EngineEvent) => void;
  readonly openPager: () => PagerObserver;
  /** Tells what was held back. */
  flush(): void;
}

/** Passes on what the engine tells, with samples of memory and pagers at a bounded rate. */
function openObservers(
  context: Context,
  budget: MemoryBudget,
  card: CardUsage | undefined,
): Observers {
  const pending = new Map<number, EngineEvent>();
  let sampledMs = Number.NEGATIVE_INFINITY;
  const flush = (): void => {
    sampledMs = performance.now();
    const inUseBytes = Object.fromEntries(
      memoryCategories.map((category) => [category, budget.inUseBytesOf(category)]),
    );
    context.emit({
      type: 'memory',
      sample: { budgetBytes: budget.totalBytes, peakBytes: budget.peakBytes, inUseBytes },
    });
    const usedBytes = card?.usedBytes() ?? null;
    if (card && usedBytes !== null)
      context.emit({ type: 'card', ordinal: card.ordinal, usedBytes, totalBytes: card.totalBytes });
    for (const event of pending.values()) context.emit(event);
    pending.clear();
  };
  const sample = (): void => {
    if (performance.now() - sampledMs >= sampleMs) flush();
  };
  return {
    event: (event) => {
      context.emit(event);
      sample();
    },
    openPager: () => {
      const pager = (pagers += 1);
      return (
        _event,
        { hits, pageIns, pageOuts, stallSeconds, bytesMoved, deviceBytes, hostBytes },
      ) => {
        pending.set(pager, {
          type: 'pager',
          pager,
          totals: { hits, pageIns, pageOuts, stallSeconds, bytesMoved, deviceBytes, hostBytes },
        });
        sample();
      };
    },
    flush,
  };
}
