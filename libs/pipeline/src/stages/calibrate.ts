import {
  GradientAccumulator,
  planGradientStatistics,
  planStatistics,
  StatisticsAccumulator,
  type LayerStatistics,
  type StatisticsMemory,
} from '@emloc/emulator';
import {
  BreadthFirstGradients,
  BreadthFirstPass,
  inferenceOrder,
  type PagedModel,
} from '@emloc/finetune';
import type { Block } from '@emloc/models';

import type { EmulatedLinear } from '../job/emulated-linear.js';
import { openModelPager } from '../job/environment.js';
import type { JobRun } from '../job/job-run.js';

/** The statistics of one block, as they leave calibration. */
export interface BlockStatistics {
  readonly block: number;
  readonly statistics: LayerStatistics;
}

export interface CalibrateOptions {
  /** Blocks whose statistics are not needed. */
  readonly skip?: ReadonlySet<number>;
  /** Told which block is calibrated next. */
  readonly onBlock?: (block: number) => void;
  /**
   * Where statistics are brought to: those of one block are then good until the next is asked for.
   */
  readonly memory?: StatisticsMemory | null;
}

/** One calibration: which linears need statistics, and on what. */
interface Calibration {
  readonly run: JobRun;
  readonly model: PagedModel;
  readonly needed: readonly EmulatedLinear[];
  readonly onBlock?: (block: number) => void;
  readonly memory: StatisticsMemory | null;
}

/**
 * Streams the calibration set through the original and yields each block's statistics: in the
 * metric of outputs forward, up to the last emulated block that is not skipped; in that of the loss
 * forward to the loss and back, down to the first.
 */
export async function* calibrate(
  run: JobRun,
  { skip = new Set(), onBlock, memory = null }: CalibrateOptions = {},
): AsyncGenerator<BlockStatistics> {
  const { job, environment } = run;
  const needed = job.emulated.filter(({ block }) => !skip.has(block));
  if (needed.length === 0) return;
  const { layout, source } = job.model;
  await using pager = openModelPager(environment, source, 'emulate');
  const { device } = environment;
  const model = { device, layout, pager, longestRow: job.longestRow };
  const calibration = { run, model, needed, onBlock, memory };
  yield* job.options.emulatorMetric === 'loss'
    ? throughLoss(calibration)
    : throughBlocks(calibration);
}

async function* throughBlocks(calibration: Calibration): AsyncGenerator<BlockStatistics> {
  const { run, model, needed, onBlock, memory } = calibration;
  const { job, environment } = run;
  const count = Math.max(...needed.map(({ block }) => block)) + 1;
  model.pager.schedule(inferenceOrder(model.layout, count));
  using pass = new BreadthFirstPass({
    model,
    batches: job.calibration,
    variants: [null],
    signal: environment.signal,
  });
  for (const block of model.layout.blocks.slice(0, count)) {
    onBlock?.(block.index);
    const plans = planStatistics(linearsOf(calibration, block));
    using accumulator = new StatisticsAccumulator(model.device, block.path, plans);
    await pass.run(block, { onLinear: (linear, x, y) => accumulator.observe(linear, x, y) });
    tell(run, block.index + 1, count);
    if (plans.length === 0) continue;
    memory?.reuse();
    yield { block: block.index, statistics: await accumulator.finish(memory) };
  }
}

/** Statistics of inputs and of gradients both come from the way back, where a block runs again. */
async function* throughLoss(calibration: Calibration): AsyncGenerator<BlockStatistics> {
  const { run, model, onBlock, memory } = calibration;
  const { job, environment } = run;
  using pass = new BreadthFirstGradients({
    model,
    batches: job.calibration,
    observedIn: (block) => new Set(linearsOf(calibration, block).map(({ name }) => name)),
    signal: environment.signal,
  });
  model.pager.schedule(pass.pages);
  for (const [index, visit] of pass.visits.entries()) {
    const { block, direction } = visit;
    onBlock?.(block.index);
    const linears = direction === 'backward' ? linearsOf(calibration, block) : [];
    using inputs = new StatisticsAccumulator(model.device, block.path, planStatistics(linears));
    using gradients = new GradientAccumulator(
      model.device,
      block.path,
      planGradientStatistics(linears),
    );
    await pass.run(visit, {
      onLinear: (linear, x, y) => inputs.observe(linear, x, y),
      gradientObserver: gradients,
    });
    tell(run, index + 1, pass.visits.length);
    if (linears.length === 0) continue;
    memory?.reuse();
    const ofInputs = await inputs.finish(memory);
    const statistics = { ...ofInputs, gradients: await gradients.finish(memory) };
    yield { block: block.index, statistics };
  }
}

function linearsOf({ needed }: Calibration, { index }: Block): readonly EmulatedLinear[] {
  return needed.filter(({ block }) => block === index);
}

function tell({ environment }: JobRun, done: number, total: number): void {
  environment.observer({ type: 'progress', stage: 'calibrate', task: 'calibrating', done, total });
}
