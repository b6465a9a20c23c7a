import { readFile, writeFile } from 'node:fs/promises';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { at } from '@emloc/checked';
import { parseBytes, quantizedFormats, type QuantizedFormat } from '@emloc/device';
import { cudaOrdinal, cudaProfile } from '@emloc/device-cuda';
import { factorsChoices, type FactorsChoice } from '@emloc/emulator';

import { fluxShape } from './flux-shape.js';
import { gpuBudgets, identityBudgets, type GpuBudgets } from './gpu-budgets.js';
import {
  graphNote,
  note,
  peakBytes,
  profileStep,
  withCard,
  type CardSettings,
} from './gpu-card.js';
import { measureFactors } from './gpu-factors.js';
import { fluxRows } from './gpu-flux-rows.js';
import { measureGeneration } from './gpu-generate.js';
import { help } from './gpu-help.js';
import { heldModel, syntheticModel, type SyntheticModel } from './gpu-model.js';
import { ProfiledBackend, profileTable } from './gpu-profile.js';
import { defaultShape, gpuShapes } from './gpu-shapes.js';
import { gpuTable, median, type GpuRow, type TorchRow } from './gpu-table.js';
import {
  isIdentical,
  planTraining,
  runTraining,
  type TrainingRun,
  type TrainingTask,
} from './gpu-training.js';
import { variedRows } from './gpu-varied.js';

interface Settings extends CardSettings {
  readonly shape: string;
  readonly steps: number;
  readonly ratio: number;
  readonly rank: number;
  /** As what weights and factors are held; null: as they are. */
  readonly storage: QuantizedFormat | null;
  /** How factors are found. */
  readonly factors: FactorsChoice;
  readonly pagedRows: readonly number[];
  readonly profile: boolean;
  /** In place of a shape's own budgets. */
  readonly vramBytes: number | null;
}

/** `bench gpu` */
export async function measure(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rows: { type: 'string' },
      steps: { type: 'string', default: '12' },
      'paged-rows': { type: 'string' },
      size: { type: 'string', default: '512' },
      device: { type: 'string', default: 'cuda' },
      ratio: { type: 'string' },
      rank: { type: 'string' },
      factors: { type: 'string', default: 'exact' },
      storage: { type: 'string' },
      shape: { type: 'string', default: defaultShape },
      vram: { type: 'string' },
      'no-wgmma': { type: 'boolean', default: false },
      'no-graphs': { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
      json: { type: 'string' },
      torch: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const ordinal = cudaOrdinal(values.device);
  const isFlux = values.shape === fluxShape;
  const vramBytes = values.vram === undefined ? null : parseBytes(values.vram);
  const storage = quantizedFormats.find((format) => format === values.storage) ?? null;
  const isUnreadable =
    (values.vram !== undefined && vramBytes === null) ||
    (values.storage !== undefined && (storage === null || isFlux));
  if (values.help || isUnreadable || ordinal === null || !(isFlux || gpuShapes.has(values.shape))) {
    (values.help ? process.stdout : process.stderr).write(help);
    return values.help ? 0 : 2;
  }
  const settings: Settings = {
    ordinal,
    useWgmma: !values['no-wgmma'],
    useGraphs: !values['no-graphs'],
    shape: values.shape,
    steps: Number(values.steps),
    ratio: Number(values.ratio ?? (isFlux ? 0.45 : 0.4)),
    rank: Number(values.rank ?? (isFlux ? 4 : 8)),
    factors: factorsChoices.find((choice) => choice === values.factors) ?? 'exact',
    pagedRows: (values['paged-rows'] ?? (isFlux ? '4' : '2,4,8')).split(',').map(Number),
    storage,
    profile: values.profile,
    vramBytes,
  };
  const wanted = (values.rows ?? (isFlux ? 'train,paged,sample' : 'train,paged,factors')).split(
    ',',
  );
  const size = Number(values.size);
  const { rows, isSame } = isFlux
    ? { rows: await fluxRows(wanted, { ...settings, size }), isSame: true }
    : await textRows(wanted, settings);
  if (values.json) await writeFile(values.json, JSON.stringify(rows, null, 2));
  const torch = values.torch
    ? (JSON.parse(await readFile(values.torch, 'utf8')) as TorchRow[])
    : [];
  if (rows.length > 0) process.stdout.write(gpuTable(rows, torch));
  return isSame ? 0 : 1;
}

async function textRows(
  wanted: readonly string[],
  settings: Settings,
): Promise<{ readonly rows: readonly GpuRow[]; readonly isSame: boolean }> {
  const rows: GpuRow[] = [];
  if (wanted.includes('train')) rows.push(await trainRow(settings));
  if (wanted.includes('short')) rows.push(await shortRow(settings));
  if (wanted.includes('varied'))
    for (const ratio of new Set([0.25, settings.ratio]))
      rows.push(...(await variedAt({ ...settings, ratio })));
  if (wanted.includes('paged')) rows.push(await pagedRow(settings));
  if (wanted.includes('factors')) rows.push(await factorsRow(settings));
  if (wanted.includes('generate')) rows.push(...(await generateRows(settings)));
  const isSame = wanted.includes('identity') ? await checkIdentity(settings) : true;
  return { rows, isSame };
}

function modelOf({ shape, ratio, storage }: Settings, blocks?: number): SyntheticModel {
  const model = syntheticModel({ shape, ratio, profile: cudaProfile(), blocks });
  return storage ? heldModel(model, storage) : model;
}

/** Those of the model as it is. */
function budgetsOf(settings: Settings): Promise<GpuBudgets> {
  return gpuBudgets(settings, modelOf({ ...settings, storage: null }), cudaProfile());
}

/** LoRA on the emulator; the budget is the caller's. */
function emulatorTask(
  { layout, emulator, rankOf }: SyntheticModel,
  { rank, steps }: Settings,
): Omit<TrainingTask, 'budgetBytes'> {
  const ranks = new Map(layout.linears.map((linear) => [linear.path, rankOf(linear)]));
  return {
    layout,
    source: emulator,
    rankOf: (path) => ranks.get(path) ?? null,
    loraRank: rank,
    sequences: 2,
    sequenceLength: 1024,
    steps,
  };
}

async function trainRow(settings: Settings): Promise<GpuRow> {
  const model = modelOf(settings);
  const { train: budgetBytes } = await budgetsOf(settings);
  return withCard(settings, budgetBytes, async (backend) => {
    const task: TrainingTask = { ...emulatorTask(model, settings), budgetBytes };
    const blocks = model.layout.numbered.reduce((sum, { count }) => sum + count, 0);
    const memory = await planTraining(task, backend.profile);
    note(`train: ${memory.keptBlocks} of ${blocks} blocks keep their tensors`);
    const run = await runTraining(task, backend, {
      memory,
      reads: 'real',
      onStep: (step) => note(`train: step ${step}`),
    });
    note(
      `train: ms a step ${run.seconds.map((value) => (value * 1000).toFixed(1)).join(' ')}; loss ${run.losses[0]} to ${run.losses.at(-1)}; ${graphNote(backend)}`,
    );
    const peak = peakBytes(backend);
    if (settings.profile) await profileStep(backend, { ...task, steps: 3 }, memory);
    return {
      name: 'train',
      tokensPerSecond: 2048 / median(run.seconds.slice(2)),
      peakBytes: peak,
      detail: `${memory.keptBlocks} of ${blocks} blocks kept${heldIn(settings)}`,
    };
  });
}

function heldIn({ storage }: Settings): string {
  return storage ? `, ${storage}` : '';
}

/** A step whose launches are longer than their kernels where they are made one by one. */
async function shortRow(settings: Settings): Promise<GpuRow> {
  const model = modelOf(settings);
  const { train: budgetBytes } = await budgetsOf(settings);
  return withCard(settings, budgetBytes, async (backend) => {
    const size = { sequences: 1, sequenceLength: 16, steps: Math.max(20, settings.steps) };
    const task: TrainingTask = { ...emulatorTask(model, settings), ...size, budgetBytes };
    const memory = await planTraining(task, backend.profile);
    const run = await runTraining(task, backend, { memory, reads: 'real' });
    note(
      `short: ms a step ${run.seconds.map((value) => (value * 1000).toFixed(1)).join(' ')}; loss ${run.losses[0]} to ${run.losses.at(-1)}; ${graphNote(backend)}`,
    );
    if (settings.profile) await profileStep(backend, { ...task, steps: 3 }, memory);
    return {
      name: 'short',
      seconds: median(run.seconds.slice(4)),
      peakBytes: peakBytes(backend),
      detail: `${memory.keptBlocks} blocks kept`,
    };
  });
}

async function variedAt(settings: Settings): Promise<readonly GpuRow[]> {
  const emulator = emulatorTask(modelOf(settings), settings);
  const { train: budgetBytes } = await budgetsOf(settings);
  return variedRows(settings, { emulator, ratio: settings.ratio, budgetBytes });
}

/** The best of several batch sizes. */
async function pagedRow(settings: Settings): Promise<GpuRow> {
  const model = modelOf({ ...settings, ratio: 1 });
  const { layout, original } = model;
  const { paged: budgetBytes } = await budgetsOf(settings);
  let best: GpuRow | null = null;
  for (const sequences of settings.pagedRows) {
    const row = await withCard(settings, budgetBytes, async (backend): Promise<GpuRow> => {
      const task: TrainingTask = {
        layout,
        source: original,
        loraRank: settings.rank,
        sequences,
        sequenceLength: 1024,
        steps: 4,
        budgetBytes,
      };
      const memory = await planTraining(task, backend.profile);
      const run = await runTraining(task, backend, { memory, reads: 'real' });
      const seconds = median(run.seconds.slice(1));
      if (settings.profile) await profileStep(backend, { ...task, steps: 3 }, memory);
      note(
        `paged, ${sequences} rows: ${(seconds * 1000).toFixed(0)} ms a step, ${((sequences * 1024) / seconds).toFixed(0)} tokens/s, waits ${run.pager.stallSeconds.toFixed(2)} s in all`,
      );
      return {
        name: 'paged',
        tokensPerSecond: (sequences * 1024) / seconds,
        peakBytes: peakBytes(backend),
        detail: `${sequences} x 1024 tokens${heldIn(settings)}`,
      };
    });
    if (!best || (row.tokensPerSecond ?? 0) > (best.tokensPerSecond ?? 0)) best = row;
  }
  if (!best) throw new Error('--paged-rows names no batch size');
  return best;
}

/** Losses and adapters of the same job in different memory. */
async function checkIdentity(settings: Settings): Promise<boolean> {
  const blocks = 6;
  const common = {
    ...emulatorTask(modelOf(settings, blocks), settings),
    sequenceLength: 1000,
    steps: 5,
  };
  const runs: TrainingRun[] = [];
  const budgets = await identityBudgets(settings.shape, common, cudaProfile());
  const cases = [
    ...budgets.map((budgetBytes) => ({ budgetBytes, useGraphs: settings.useGraphs })),
    { budgetBytes: at(budgets, 0), useGraphs: false },
  ];
  for (const { budgetBytes, useGraphs } of cases) {
    runs.push(
      await withCard({ ...settings, useGraphs }, budgetBytes, async (backend) => {
        const task: TrainingTask = { ...common, budgetBytes };
        const memory = await planTraining(task, backend.profile);
        const run = await runTraining(task, backend, { memory, reads: 'real' });
        note(
          `identity: ${memory.keptBlocks} of ${blocks} blocks kept, ${run.pager.pageOuts} page-outs, losses ${run.losses.join(' ')}; ${graphNote(backend)}`,
        );
        return run;
      }),
    );
  }
  const isSame = (index: number): boolean => isIdentical(at(runs, 0), at(runs, index));
  const [isRepeatable, isSamePaged, isSameAlone] = [isSame(1), isSame(2), isSame(3)];
  process.stdout.write(
    `equal bits twice: ${isRepeatable ? 'yes' : 'NO'}; paged and recomputed: ${isSamePaged ? 'yes' : 'NO'}; without graphs: ${isSameAlone ? 'yes' : 'NO'}\n`,
  );
  return isRepeatable && isSamePaged && isSameAlone;
}

function generateRows(settings: Settings): Promise<GpuRow[]> {
  const model = modelOf({ ...settings, ratio: 1, storage: null });
  return measureGeneration(model, cudaProfile(), (bytes, run) =>
    withCard(settings, bytes, async (backend) => {
      const figures = await run(backend);
      return { figures, peakBytes: peakBytes(backend) };
    }),
  );
}

async function factorsRow(settings: Settings): Promise<GpuRow> {
  const model = modelOf({ ...settings, storage: null }, 1);
  const choice = settings.factors;
  const { train: capacityBytes } = await budgetsOf(settings);
  return withCard(settings, capacityBytes, async (backend) => {
    if (settings.profile) {
      const profiled = new ProfiledBackend(backend);
      await measureFactors(model, backend, { blocks: 1, choice });
      profiled.record();
      await measureFactors(model, profiled.backend, { blocks: 1, choice });
      process.stdout.write(
        `factors of a block, by launches (its statistics included)\n${profileTable(await profiled.finish())}`,
      );
    }
    const { seconds, perLinear, relativeErrors, budgetPeakBytes } = await measureFactors(
      model,
      backend,
      { blocks: 4, choice },
    );
    note(`factors: ${seconds.map((value) => value.toFixed(3)).join(' ')} s a block`);
    for (const [name, value] of Object.entries(perLinear))
      note(
        `  ${name.padEnd(20)} ${value.toFixed(3)} s, relative error ${relativeErrors[name]?.toFixed(4)}`,
      );
    return {
      name: 'factors',
      seconds: median(seconds.slice(1)),
      peakBytes: budgetPeakBytes,
      detail: `${model.firstLinears.length} linear layers`,
    };
  });
}
