import process from 'node:process';
import { Device, MemoryBudget, type Backend, type DeviceProfile } from '@emloc/device';
import { createNullBackend } from '@emloc/device-null';
import { generate, rehearseGeneration, type GenerationGroup } from '@emloc/finetune';
import { textLimits } from '@emloc/models';
import { TextPrompts, TextTables } from '@emloc/tasks';
import { allDeviceBytes, minimumDeviceBytes, openPager } from '@emloc/weight-pager';

import type { SyntheticModel } from './gpu-model.js';
import type { GpuRow } from './gpu-table.js';

/** Greedy answers to random prompts of one length. */
interface GenerationRun {
  readonly prompts: number;
  readonly promptTokens: number;
  readonly tokens: number;
  /** Of all weights: what is on the device at a time, at least what the pager can work with. */
  readonly residentShare: number;
}

interface GenerationMemory {
  readonly pagerBytes: number;
  readonly budgetBytes: number;
}

interface GenerationFigures {
  /** Of all answers together, after the first token of each. */
  readonly tokensPerSecond: number;
  /** To the first token. */
  readonly prefillSeconds: number;
  readonly stallSeconds: number;
}

/** One prompt and 16 at a time, with all weights on the card and with a quarter of them. */
const generationRuns: readonly GenerationRun[] = [1, 0.25].flatMap((residentShare) =>
  [1, 16].map((prompts) => ({ prompts, promptTokens: 512, tokens: 128, residentShare })),
);

/** A line of the table. */
function generationRow(
  { prompts, residentShare }: GenerationRun,
  { tokensPerSecond, prefillSeconds, stallSeconds }: GenerationFigures,
  peakBytes: number,
): GpuRow {
  const weights = residentShare === 1 ? 'all weights resident' : 'weights paged';
  const detail = `${prompts} at a time, ${weights}, ${prefillSeconds.toFixed(2)} s to the first token, waits ${stallSeconds.toFixed(2)} s`;
  return { name: 'generate', tokensPerSecond, peakBytes, detail };
}

const greedy = { temperature: 0, topP: 1, seed: 0 } as const;

/** Does something on a card that has so much memory. */
type OnCard = (
  budgetBytes: number,
  run: (backend: Backend) => Promise<GenerationFigures>,
) => Promise<{ readonly figures: GenerationFigures; readonly peakBytes: number }>;

/** A row of the table for each run. */
export async function measureGeneration(
  model: SyntheticModel,
  profile: DeviceProfile,
  onCard: OnCard,
): Promise<GpuRow[]> {
  const rows: GpuRow[] = [];
  for (const run of generationRuns) {
    const memory = await planGeneration(model, run, profile);
    const { figures, peakBytes } = await onCard(memory.budgetBytes, (backend) =>
      runGeneration(model, run, { backend, memory }),
    );
    const row = generationRow(run, figures, peakBytes);
    process.stderr.write(
      `generate: ${row.detail}: ${figures.tokensPerSecond.toFixed(1)} tokens/s\n`,
    );
    rows.push(row);
  }
  return rows;
}

/** What the weights and a rehearsal of everything else take. */
async function planGeneration(
  model: SyntheticModel,
  run: GenerationRun,
  profile: DeviceProfile,
): Promise<GenerationMemory> {
  const { layout, original: source } = model;
  const device = new Device(createNullBackend(profile), new MemoryBudget(Number.POSITIVE_INFINITY));
  const all = allDeviceBytes(source, device);
  const least = minimumDeviceBytes(source, device);
  const scope = device.budget.openPeakScope(['weights']);
  const hostBytes = Number.POSITIVE_INFINITY;
  const pager = openPager({ device, source, deviceBytes: least, hostBytes, reads: 'none' });
  const { prompts, group } = inputsOf(model, run);
  const inputs = { model: { device, layout, pager }, source: prompts, group, sampling: greedy };
  await rehearseGeneration({ ...inputs, adapter: null });
  const besideBytes = scope.close();
  await pager.close();
  await device.close();
  const pagerBytes = Math.max(least, Math.floor(run.residentShare * all));
  return { pagerBytes, budgetBytes: pagerBytes + besideBytes };
}

/** Answers on a card, whose backend stays open. */
async function runGeneration(
  model: SyntheticModel,
  run: GenerationRun,
  { backend, memory }: { readonly backend: Backend; readonly memory: GenerationMemory },
): Promise<GenerationFigures> {
  const { layout, original: source } = model;
  const { pagerBytes: deviceBytes, budgetBytes } = memory;
  const device = new Device(backend, new MemoryBudget(budgetBytes));
  const pager = openPager({ device, source, deviceBytes, hostBytes: Number.POSITIVE_INFINITY });
  const { prompts, group } = inputsOf(model, run);
  const options = {
    ...{ model: { device, layout, pager }, adapter: null, source: prompts, group },
    ...{ sampling: greedy, stopIds: new Set<number>() },
  };
  try {
    // Kernels are compiled and weights loaded before anything is timed.
    await generate({ ...options, group: { ...group, maxTokens: () => 3 } });
    const before = pager.statistics.stallSeconds;
    const started = performance.now();
    const moments: number[] = [];
    await generate({ ...options, onToken: () => void moments.push(performance.now()) });
    const [first = started, last = started] = [moments.at(run.prompts - 1), moments.at(-1)];
    return {
      tokensPerSecond: (1000 * run.prompts * (run.tokens - 1)) / (last - first),
      prefillSeconds: (first - started) / 1000,
      stallSeconds: pager.statistics.stallSeconds - before,
    };
  } finally {
    await pager.close();
  }
}

function inputsOf(
  { layout }: SyntheticModel,
  { prompts, promptTokens, tokens }: GenerationRun,
): { readonly prompts: TextPrompts; readonly group: GenerationGroup } {
  const { vocabularySize } = textLimits(layout);
  const ids = Array.from({ length: prompts }, (_, row) =>
    Int32Array.from(
      { length: promptTokens },
      (_token, index) => (row * 7919 + index * 104_729 + 17) % vocabularySize,
    ),
  );
  const batches = ids.map((_, row) => [row]);
  const asked = new TextPrompts(ids, new TextTables(layout, null));
  return { prompts: asked, group: { batches, maxTokens: () => tokens } };
}
