import type { LoraAdapter } from '@emloc/checkpoint';
import { Device, MemoryBudget, type Backend, type DeviceProfile } from '@emloc/device';
import { createNullBackend } from '@emloc/device-null';
import {
  blocksBeforeLoss,
  defaultAdamw,
  initialAdapter,
  launchBoundTokens,
  train,
} from '@emloc/finetune';
import { textLimits, type ModelLayout, type RowSource } from '@emloc/models';
import { consecutive, TextRows, TextTables } from '@emloc/tasks';
import {
  allDeviceBytes,
  minimumDeviceBytes,
  openPager,
  type LayerSource,
  type PagerStatistics,
} from '@emloc/weight-pager';

/** A training run on random tokens. */
export interface TrainingTask {
  readonly layout: ModelLayout;
  readonly source: LayerSource;
  /** See PagedModel; absent: no layer is kept as factors. */
  readonly rankOf?: (path: string) => number | null;
  readonly loraRank: number;
  readonly sequences: number;
  readonly sequenceLength: number;
  readonly steps: number;
  readonly budgetBytes: number;
  /** Those of a step. Default: random tokens. */
  readonly rows?: RowSource;
  /** Of each step. Default: all rows at each. */
  readonly batches?: readonly (readonly (readonly number[])[])[];
  /** The steps that rehearsals make. Default: the first. */
  readonly heaviest?: TrainingTask['batches'];
  /** See TrainOptions. Default: what jobs round. */
  readonly roundedTokens?: number;
}

/** How the budget is divided: what weights may take, and for how many blocks tensors are kept. */
export interface TrainingMemory {
  readonly pagerBytes: number;
  readonly keptBlocks: number;
}

export interface TrainingRun {
  /** Of each step. */
  readonly seconds: readonly number[];
  readonly losses: readonly number[];
  readonly budgetPeakBytes: number;
  /** The peak of everything but weights. */
  readonly besideWeightsBytes: number;
  readonly pager: PagerStatistics;
  readonly memory: TrainingMemory;
  readonly adapter: LoraAdapter;
}

/** Divides the budget by rehearsals on the null device: weights first, then kept tensors. */
export async function planTraining(
  task: TrainingTask,
  profile: DeviceProfile,
): Promise<TrainingMemory> {
  const { allBytes, leastBytes, besideWeightsBytes } = await trainingNeeds(task, profile);
  const peakOf = async (memory: TrainingMemory): Promise<number> =>
    (await rehearse(task, profile, memory)).budgetPeakBytes;
  const pagerBytes = Math.min(allBytes, task.budgetBytes - besideWeightsBytes);
  if (pagerBytes < leastBytes)
    throw new Error(`a budget of ${task.budgetBytes} bytes is ${leastBytes - pagerBytes} too few`);
  if (pagerBytes < allBytes) return { pagerBytes, keptBlocks: 0 };
  const most = blocksBeforeLoss(task.layout, task.layout.linears);
  const keptBlocks = await mostThat(
    most,
    async (count) => (await peakOf({ pagerBytes, keptBlocks: count })) <= task.budgetBytes,
  );
  return { pagerBytes, keptBlocks };
}

/** The largest number up to `most` that fits, where 0 does and all below one that does do, too. */
async function mostThat(most: number, fits: (count: number) => Promise<boolean>): Promise<number> {
  if (await fits(most)) return most;
  let [good, bad] = [0, most];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (await fits(middle)) good = middle;
    else bad = middle;
  }
  return good;
}

/** Budgets of a task: the least that it can work in, and what keeps everything. */
export async function trainingBounds(
  task: TrainingTask,
  profile: DeviceProfile,
): Promise<{ readonly least: number; readonly most: number }> {
  const { allBytes, leastBytes, besideWeightsBytes } = await trainingNeeds(task, profile);
  const memory = {
    pagerBytes: allBytes,
    keptBlocks: blocksBeforeLoss(task.layout, task.layout.linears),
  };
  const { budgetPeakBytes } = await rehearse(task, profile, memory);
  return { least: leastBytes + besideWeightsBytes, most: budgetPeakBytes };
}

/** Weights in all and at least, and the peak of everything else where nothing is kept. */
async function trainingNeeds(
  task: TrainingTask,
  profile: DeviceProfile,
): Promise<{ allBytes: number; leastBytes: number; besideWeightsBytes: number }> {
  const device = new Device(createNullBackend(profile), new MemoryBudget(Number.POSITIVE_INFINITY));
  const leastBytes = minimumDeviceBytes(task.source, device);
  const memory = { pagerBytes: leastBytes, keptBlocks: 0 };
  const { besideWeightsBytes } = await rehearse(task, profile, memory);
  return {
    allBytes: allDeviceBytes(task.source, device),
    leastBytes,
    besideWeightsBytes,
  };
}

function rehearse(
  task: TrainingTask,
  profile: DeviceProfile,
  memory: TrainingMemory,
): Promise<TrainingRun> {
  return runTraining(
    {
      ...task,
      batches: task.heaviest ?? task.batches,
      steps: task.heaviest?.length ?? 1,
      budgetBytes: Number.POSITIVE_INFINITY,
    },
    createNullBackend(profile),
    { memory, reads: 'none' },
  );
}

interface RunOptions {
  readonly memory: TrainingMemory;
  readonly reads: 'real' | 'none';
  readonly onStep?: (step: number) => void;
}

/** Trains; the backend stays open. */
export async function runTraining(
  task: TrainingTask,
  backend: Backend,
  { memory, reads, onStep }: RunOptions,
): Promise<TrainingRun> {
  const budget = new MemoryBudget(task.budgetBytes);
  const device = new Device(backend, budget);
  const pager = openPager({
    device,
    source: task.source,
    deviceBytes: memory.pagerBytes,
    hostBytes: Number.POSITIVE_INFINITY,
    reads,
  });
  const [seconds, losses]: [number[], number[]] = [[], []];
  const beside = budget.openPeakScope(['weights']);
  try {
    const { layout, rankOf } = task;
    const step = consecutive(task.sequences, task.sequences);
    const { adapter } = await train({
      model: { device, layout: task.layout, pager, rankOf: task.rankOf },
      adapter: initialAdapter(
        task.layout,
        { rank: task.loraRank, alpha: 2 * task.loraRank, useRslora: false, targets: null },
        0,
      ),
      rows: task.rows ?? randomRows(task),
      batches: task.batches?.slice(0, task.steps) ?? Array.from({ length: task.steps }, () => step),
      roundedTokens:
        task.roundedTokens ?? launchBoundTokens({ layout, profile: device.profile, rankOf }),
      schedule: { kind: 'constant', learningRate: 1e-4, steps: task.steps, warmupRatio: 0 },
      optimizer: defaultAdamw,
      keptBlocks: memory.keptBlocks,
      onStep: (report) => {
        seconds.push(report.seconds);
        losses.push(report.loss);
        onStep?.(report.step);
      },
    });
    return {
      seconds,
      losses,
      budgetPeakBytes: budget.peakBytes,
      besideWeightsBytes: beside.close(),
      pager: pager.statistics,
      memory,
      adapter,
    };
  } finally {
    await pager.close();
  }
}

/** Random tokens, all of them targets but the first of each row. */
function randomRows({ layout, sequences, sequenceLength }: TrainingTask): TextRows {
  let state = 1;
  const token = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * textLimits(layout).vocabularySize);
  };
  const rows = Array.from({ length: sequences }, () => ({
    ids: Int32Array.from({ length: sequenceLength }, token),
    trained: Uint8Array.from({ length: sequenceLength }, (_, index) => (index === 0 ? 0 : 1)),
    line: 0,
  }));
  return new TextRows(rows, null, new TextTables(layout, null));
}

/** Whether two runs gave the same losses and the same adapter, bit for bit. */
export function isIdentical(one: TrainingRun, other: TrainingRun): boolean {
  const isEqual = (a: Float32Array, b: Float32Array | undefined): boolean =>
    a.length === b?.length && a.every((value, index) => Object.is(value, b[index]));
  return (
    one.losses.length === other.losses.length &&
    one.losses.every((loss, index) => Object.is(loss, other.losses[index])) &&
    [...one.adapter.layers].every(
      ([path, { a, b }]) =>
        isEqual(a, other.adapter.layers.get(path)?.a) &&
        isEqual(b, other.adapter.layers.get(path)?.b),
    )
  );
}
