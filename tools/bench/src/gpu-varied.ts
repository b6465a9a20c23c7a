import { at, required } from '@emloc/checked';
import { launchBoundTokens, roundedShape } from '@emloc/finetune';
import { textLimits, textSizeOf, type BatchShape } from '@emloc/models';
import { consecutive, TextRows, TextTables } from '@emloc/tasks';

import { graphNote, note, peakBytes, withCard, type CardSettings } from './gpu-card.js';
import { median, type GpuRow } from './gpu-table.js';
import { isIdentical, planTraining, runTraining, type TrainingTask } from './gpu-training.js';

/** Of a step; lengths are lognormal. */
const texts = { rows: 8, medianTokens: 66, deviation: 0.5 } as const;
/** Steps before the figures begin: by then sizes have come twice. */
const warmSteps = 20;

type EmulatorTask = Omit<TrainingTask, 'budgetBytes'>;

/** Steps of eight texts of about 600 tokens together, no two of the same lengths. */
export function variedTask(task: EmulatorTask): EmulatorTask {
  const random = randomOf(7);
  const { vocabularySize } = textLimits(task.layout);
  const rows = Array.from({ length: task.steps * texts.rows }, () => {
    const normal = Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
    const length = Math.max(8, Math.round(texts.medianTokens * Math.exp(texts.deviation * normal)));
    const prompt = Math.round(length * (0.3 + 0.4 * random()));
    return {
      ids: Int32Array.from({ length }, () => Math.floor(random() * vocabularySize)),
      trained: Uint8Array.from({ length }, (_, index) => (index < prompt ? 0 : 1)),
      line: 0,
    };
  });
  return {
    ...task,
    rows: new TextRows(rows, null, new TextTables(task.layout, null)),
    batches: consecutive(rows.length, texts.rows).map((batch) => [batch]),
  };
}

/** Numbers between 0 and 1, neither of them among them. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
}

/** The steps among which each size is largest, so that nothing takes more memory than they do. */
export function heaviestSteps(
  { rows, batches = [], layout, rankOf }: EmulatorTask,
  profile: Parameters<typeof launchBoundTokens>[0]['profile'],
): NonNullable<TrainingTask['batches']> {
  const mostTokens = launchBoundTokens({ layout, profile, rankOf });
  const source = required(rows, 'rows');
  const sizes = batches.map((step) => {
    const shape = source.shape(at(step, 0));
    return [0, mostTokens].map((tokens) => sizeOf(roundedShape(shape, tokens)));
  });
  const largest = ([0, 1] as const).flatMap((rounded) =>
    (['tokens', 'trained', 'longest'] as const).map((key) => {
      const values = sizes.map((both) => at(both, rounded)[key]);
      return at(batches, values.indexOf(Math.max(...values)));
    }),
  );
  return [...new Set(largest)];
}

function sizeOf({ padded, ...shape }: BatchShape) {
  const size = textSizeOf(shape);
  if (!size) throw new Error('a batch of texts expected');
  return { ...size, longest: padded?.longest ?? size.longest };
}

/** How launches are made. */
const variants = [
  { name: 'rounded, graphs', isRounded: true, useGraphs: true },
  { name: 'rounded, no graphs', isRounded: true, useGraphs: false },
  { name: 'as they are', isRounded: false, useGraphs: true },
] as const;

/** Steps of texts of varied lengths: as jobs make them, and without what makes them repeat. */
export async function variedRows(
  settings: CardSettings,
  {
    emulator,
    ratio,
    budgetBytes,
  }: { readonly emulator: EmulatorTask; readonly ratio: number; readonly budgetBytes: number },
): Promise<readonly GpuRow[]> {
  const steps = Math.max(3 * warmSteps, emulator.steps);
  const varied = { ...variedTask({ ...emulator, steps }), budgetBytes };
  const rows: GpuRow[] = [];
  const runs: Awaited<ReturnType<typeof runTraining>>[] = [];
  for (const { name, isRounded, useGraphs } of variants) {
    if (useGraphs && isRounded && !settings.useGraphs) continue;
    const row = await withCard({ ...settings, useGraphs }, budgetBytes, async (backend) => {
      const task: TrainingTask = isRounded ? varied : { ...varied, roundedTokens: 0 };
      const heaviest = heaviestSteps(varied, backend.profile);
      const memory = await planTraining({ ...task, heaviest }, backend.profile);
      const run = await runTraining(task, backend, { memory, reads: 'real' });
      const { recorded, launched } = backend.graphUse;
      note(
        `varied, ratio ${ratio}, ${name}: ms a step ${run.seconds.map((value) => (value * 1000).toFixed(1)).join(' ')}; loss ${run.losses[0]} to ${run.losses.at(-1)}; ${graphNote(backend)}`,
      );
      if (isRounded) runs.push(run);
      return {
        name: 'varied' as const,
        title: `LoRA on an emulator of ratio ${ratio}, 8 texts of varied lengths a step, ${name}`,
        seconds: median(run.seconds.slice(warmSteps)),
        peakBytes: peakBytes(backend),
        detail: `${launched - recorded} of ${steps} steps replayed, ${memory.keptBlocks} blocks kept`,
      };
    });
    rows.push(row);
  }
  if (runs.length === 2 && !isIdentical(at(runs, 0), at(runs, 1)))
    throw new Error(`varied, ratio ${ratio}: other bits with graphs than without`);
  return rows;
}
