import { at, get } from '@emloc/checked';
import { adapterScale, type LoraAdapter } from '@emloc/checkpoint';
import type { Tensor } from '@emloc/device';
import { applyCorrection, correctLoraLayer, type LayerCorrection } from '@emloc/emulator';
import { sliceSource, weightPlace, type SourceSlice } from '@emloc/models';
import type { Score } from '@emloc/tasks';
import type { LayerSource } from '@emloc/weight-pager';

import type { EmulatedLinear } from '../job/emulated-linear.js';
import { openLinearPager, type JobEnvironment } from '../job/environment.js';
import { factorSpecs } from '../job/factor-store.js';
import type { JobRun } from '../job/job-run.js';
import type { Job } from '../job/job.js';
import type { CorrectionChoice } from '../options/resolve.js';
import { isSoundAdapter } from './adapter-values.js';
import { scoreOnOriginal } from './score-original.js';
import { weightSlice } from './weight-slice.js';

/** λ of the candidates that `auto` scores beside `none`; 3 is the paper's. */
const autoCandidates: readonly number[] = Object.freeze([1, 3, 10]);

export interface CorrectionResult {
  /** The candidate that goes on. */
  readonly adapter: LoraAdapter;
  /** Its key in `scores`. */
  readonly chosen: string;
  /** Validation loss on the original by candidate: `none` and each λ. */
  readonly scores: Readonly<Record<string, number>>;
  /** The original without an adapter. */
  readonly base: Score;
}

/**
 * Corrects a trained adapter for the difference between emulator and original, and picks by
 * validation loss.
 */
export async function correct(
  run: JobRun,
  { adapter, emulator }: { adapter: LoraAdapter; emulator: LayerSource },
): Promise<CorrectionResult> {
  const { clock } = run.environment;
  using _stage = clock.during('correct');
  clock.enter('correct');
  const corrections = await correctBlocks(run, {
    adapter,
    emulator,
    blocks: correctedBlocks(run.job, adapter),
  });
  return await chooseCorrection(run, { adapter, corrections });
}

/**
 * Blocks that have layers to correct; none where no correction is wanted, or the adapter has
 * diverged so far that there is none.
 */
export function correctedBlocks(
  { options, emulated }: Job,
  adapter: LoraAdapter,
): readonly number[] {
  if (lambdasOf(options.correction).length === 0 || !isSoundAdapter(adapter)) return [];
  return [
    ...new Set(emulated.filter(({ path }) => adapter.layers.has(path)).map(({ block }) => block)),
  ];
}

/**
 * Scores the candidates of the correction on the original, in one pass, and picks by validation
 * loss.
 * @param inputs.corrections by module path
 */
export async function chooseCorrection(
  run: JobRun,
  {
    adapter,
    corrections,
  }: { adapter: LoraAdapter; corrections: ReadonlyMap<string, LayerCorrection> },
): Promise<CorrectionResult> {
  const { correction } = run.job.options;
  const candidates = new Map<string, LoraAdapter>([['none', adapter]]);
  // What is only planned needs an adapter of the same sizes, not its values.
  const isPlanned = run.environment.reads === 'none';
  for (const lambda of lambdasOf(correction))
    candidates.set(String(lambda), isPlanned ? adapter : corrected(adapter, corrections, lambda));
  const [base, ...evaluations] = await scoreOnOriginal(run, {
    stage: 'correct',
    adapters: [null, ...candidates.values()],
  });
  if (!base) throw new Error('evaluation gave no result');
  const scores = Object.fromEntries(
    [...candidates.keys()].map((key, index) => [key, at(evaluations, index).loss]),
  );
  const chosen = typeof correction === 'number' ? String(correction) : lowest(scores);
  return { adapter: get(candidates, chosen), chosen, scores, base };
}

/** The λ that are scored beside `none`. */
export function lambdasOf(choice: CorrectionChoice): readonly number[] {
  if (choice === 'none') return [];
  return choice === 'auto' ? autoCandidates : [choice];
}

/** The key of the lowest loss; the first wins a tie, and `none` is first. */
function lowest(scores: Readonly<Record<string, number>>): string {
  return Object.entries(scores).reduce(
    (best, entry) => (!(entry[1] >= best[1]) && Number.isFinite(entry[1]) ? entry : best),
    ['none', scores['none'] ?? Number.NaN],
  )[0];
}

function corrected(
  adapter: LoraAdapter,
  corrections: ReadonlyMap<string, LayerCorrection>,
  lambda: number,
): LoraAdapter {
  const layers = new Map(
    [...adapter.layers].map(([path, layer]) => {
      const correction = corrections.get(path);
      if (!correction) return [path, layer];
      return [
        path,
        {
          ...layer,
          a: correction.aCorrected,
          b: applyCorrection({ ...correction, rank: adapter.rank, lambda }),
        },
      ];
    }),
  );
  return { ...adapter, layers };
}

export interface CorrectBlocksInputs {
  readonly adapter: LoraAdapter;
  readonly emulator: LayerSource;
  readonly blocks: readonly number[];
}

/** What corrects the adapted layers of some blocks, by module path. */
export async function correctBlocks(
  run: JobRun,
  { adapter, emulator, blocks }: CorrectBlocksInputs,
): Promise<ReadonlyMap<string, LayerCorrection>> {
  if (blocks.length === 0) return new Map();
  const { job, environment } = run;
  const emulated = job.emulated.filter(
    ({ path, block }) => blocks.includes(block) && adapter.layers.has(path),
  );
  await using originals = openLinearPager(
    environment,
    sliceSource(
      job.model.source,
      emulated.map((linear) => weightSlice(job, linear)),
    ),
  );
  await using factors = openLinearPager(
    environment,
    sliceSource(
      emulator,
      emulated.map((linear) => factorSlice(run, linear)),
    ),
  );
  const corrections = new Map<string, LayerCorrection>();
  const order = emulated.map((_, index) => index);
  originals.schedule(order);
  factors.schedule(order);
  for (const [index, linear] of emulated.entries()) {
    environment.signal?.throwIfAborted();
    using original = await originals.acquire(index);
    using lowRank = await factors.acquire(index);
    corrections.set(
      linear.path,
      await correctOne(environment, adapter, {
        linear,
        original: original.tensors,
        factors: lowRank.tensors,
      }),
    );
    environment.observer({
      type: 'progress',
      stage: 'correct',
      task: 'correcting',
      done: index + 1,
      total: emulated.length,
    });
  }
  return corrections;
}

async function correctOne(
  { device }: JobEnvironment,
  adapter: LoraAdapter,
  inputs: {
    linear: EmulatedLinear;
    original: ReadonlyMap<string, Tensor>;
    factors: ReadonlyMap<string, Tensor>;
  },
): Promise<LayerCorrection> {
  const { linear, original, factors } = inputs;
  const layer = get(adapter.layers, linear.path);
  const [uSpec, vSpec] = factorSpecs(linear, device.profile);
  const upload = (values: Float32Array, shape: readonly number[], label: string): Tensor =>
    device.tensor(
      {
        bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
        dtype: 'float32',
      },
      shape,
      'float32',
      'lora',
      label,
    );
  using a = upload(layer.a, [adapter.rank, layer.inFeatures], `${linear.path}.lora_A`);
  using b = upload(layer.b, [layer.outFeatures, adapter.rank], `${linear.path}.lora_B`);
  return await correctLoraLayer({
    device,
    original: get(original, `${linear.name}.weight`),
    emulator: { u: get(factors, uSpec.name), v: get(factors, vSpec.name) },
    a,
    b,
    scale: adapterScale(adapter),
  });
}

function factorSlice({ job, environment }: JobRun, linear: EmulatedLinear): SourceSlice {
  const tensors = factorSpecs(linear, environment.device.profile).map(({ name }) => name);
  const { page } = weightPlace(job.model.layout, linear);
  return { name: linear.path, page, tensors };
}
