import type { Tensor } from '@emloc/device';
import {
  GradientAccumulator,
  planGradientStatistics,
  planStatistics,
  StatisticsAccumulator,
  type LayerStatistics,
  type StatisticsMemory,
} from '@emloc/emulator';
import { BreadthFirstGradients, BreadthFirstPass, type PagedModel } from '@emloc/finetune';
import type { Block } from '@emloc/models';

import type { EmulatedLinear } from '../job/emulated-linear.js';
import { openModelPager } from '../job/environment.js';
import type { JobRun } from '../job/job-run.js';

/** The statistics of one block, as they leave calibration. */
export interface BlockStatistics {
  readonly block: number;
  readonly statistics: LayerStatistics;
  /** The block's weights by name, where its reader wants them on the device. */
  readonly tensors?: ReadonlyMap<string, Tensor>;
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
  /** Whether a block's weights stay on the device until the next is asked for. Default: no. */
  readonly withWeights?: boolean;
}

/** One calibration: which linears need statistics, and on what. */
interface Calibration {
  readonly run: JobRun;
  readonly model: PagedModel;
  readonly needed: readonly EmulatedLinear[];
  readonly onBlock?: (block: number) => void;
  readonly memory: StatisticsMemory | null;
  readonly withWeights: boolean;
}

/**
 * Streams the calibration set through the original and yields each block's statistics: in the
 * metric of outputs forward, up to the last emulated block that is not skipped; in that of the loss
 * forward to the loss and back, down to the first.
 */
export async function* calibrate(
  run: JobRun,
  { skip = new Set(), onBlock, memory = null, withWeights = false }: CalibrateOptions = {},
): AsyncGenerator<BlockStatistics> {
  const { job, environment } = run;
  const needed = job.emulated.filter(({ block }) => !skip.has(block));
  if (needed.length === 0) return;
  const { layout, source } = job.model;
  await using pager = openModelPager(environment, source, 'emulate');
  const { device } = environment;
  const model = { device, layout, pager, longestRow: job.longestRow };
  const calibration = { run, model, needed, onBlock, memory, withWeights };
  yield* job.options.emulatorMetric === 'loss'
    ? throughLoss(calibration)
    : throughBlocks(calibration);
}

async function* throughBlocks(calibration: Calibration): AsyncGenerator<BlockStatistics> {
  const { run, model, needed, onBlock, memory } = calibration;
  const { job, environment } = run;
  const count = Math.max(...needed.map(({ block }) => block)) + 1;
  const blocks = model.layout.blocks.slice(0, count);
  model.pager.schedule(blocks.flatMap((block) => pagesOf(calibration, block)));
  using pass = new BreadthFirstPass({
    model,
    batches: job.calibration,
    variants: [null],
    signal: environment.signal,
  });
  for (const block of blocks) {
    onBlock?.(block.index);
    const plans = planStatistics(linearsOf(calibration, block));
    using accumulator = new StatisticsAccumulator(model.device, block.path, plans);
    await pass.run(block, { onLinear: (linear, x, y) => accumulator.observe(linear, x, y) });
    tell(run, block.index + 1, count);
    if (plans.length === 0) continue;
    memory?.reuse();
    yield* withTensors(calibration, block, await accumulator.finish(memory));
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
  model.pager.schedule(
    pass.visits.flatMap(({ block, direction }) =>
      direction === 'backward' ? pagesOf(calibration, block) : [block.page],
    ),
  );
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
    yield* withTensors(calibration, block, statistics);
  }
}

/** The page of a block that is calibrated, once more where its reader gets it. */
function pagesOf(calibration: Calibration, block: Block): readonly number[] {
  const isRead = calibration.withWeights && linearsOf(calibration, block).length > 0;
  return isRead ? [block.page, block.page] : [block.page];
}

async function* withTensors(
  { model: { pager }, withWeights }: Calibration,
  { index: block, page }: Block,
  statistics: LayerStatistics,
): AsyncGenerator<BlockStatistics> {
  using lease = withWeights ? await pager.acquire(page) : null;
  yield { block, statistics, ...(lease && { tensors: lease.tensors }) };
}

function linearsOf({ needed }: Calibration, { index }: Block): readonly EmulatedLinear[] {
  return needed.filter(({ block }) => block === index);
}

function tell({ environment }: JobRun, done: number, total: number): void {
  environment.observer({ type: 'progress', stage: 'calibrate', task: 'calibrating', done, total });
}
