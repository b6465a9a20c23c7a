import type { LoraAdapter } from '@emloc/checkpoint';
import { elementCount } from '@emloc/device';
import { initialAdapter, type TrainResult } from '@emloc/finetune';
import type { LayerSource } from '@emloc/weight-pager';

import { correct, lambdasOf } from '../stages/correct.js';
import { buildEmulator } from '../stages/emulate.js';
import { runTrainStage } from '../stages/train.js';
import type { EmulatedLayerReport } from './emulated-layer-report.js';
import type { JobEnvironment } from './environment.js';
import { emulatorSource } from './factor-store.js';
import type { Job, TrainingPlan } from './job.js';
import { noOutcomeStore, type OutcomeStore } from './outcome-store.js';
import type {
  CorrectionOutcome,
  RefinementOutcome,
  StageOutcome,
  TunedOutcome,
} from './stage-outcomes.js';

/** Validation losses along the way; null where a stage did not run. */
export interface ValidationLosses {
  readonly base: number;
  readonly emulator: number | null;
  readonly emulatorTuned: number | null;
  readonly uncorrected: number;
  readonly corrected: number | null;
  readonly refined: number | null;
}

export interface EmulatorReport {
  readonly parameters: number;
  readonly originalParameters: number;
  readonly worstLayer: { readonly name: string; readonly relativeError: number };
  readonly layers: readonly EmulatedLayerReport[];
}

/** The outcome of a job, before anything is written. */
export interface JobResult {
  readonly adapter: LoraAdapter;
  /** As training on the emulator left it. */
  readonly uncorrected: LoraAdapter;
  readonly validation: ValidationLosses;
  readonly correction: Pick<CorrectionOutcome, 'chosen' | 'scores'> | null;
  /**
   * `kept` tells whether the refined adapter is the result; it is not where refinement raised the
   * validation loss.
   */
  readonly refinement: { readonly steps: number; readonly kept: boolean } | null;
  readonly emulator: EmulatorReport | null;
  readonly train: TrainResult;
}

/** Outcomes of a job's stages. */
export interface JobOutcomes {
  /** In any order; empty where the job has no emulator. */
  readonly layers: readonly EmulatedLayerReport[];
  readonly tuned: TunedOutcome;
  /** null where the job has no emulator */
  readonly correction: CorrectionOutcome | null;
  /** null where the job is not refined */
  readonly refinement: RefinementOutcome | null;
}

/**
 * Runs all stages of a job in this process, but those that `outcomes` has. The same for a real
 * device and for planning on a null one.
 */
export function runJob(
  environment: JobEnvironment,
  job: Job,
  outcomes: OutcomeStore = noOutcomeStore,
): Promise<JobResult> {
  return job.emulated.length === 0
    ? runPlainLora(environment, job, outcomes)
    : runEmloc(environment, job, outcomes);
}

async function runEmloc(
  environment: JobEnvironment,
  job: Job,
  outcomes: OutcomeStore,
): Promise<JobResult> {
  const layers = await buildEmulator(environment, job);
  const emulator = emulatorSource(job.model, job.emulated, {
    store: environment.factors,
    profile: environment.device.profile,
  });
  const tuned = await outcomeOf(outcomes, 'train', () => tuneOn(environment, job, emulator));
  const correction = await outcomeOf(outcomes, 'correct', async () => {
    const { adapter, chosen, scores, base } = await correct(environment, job, {
      adapter: tuned.adapter,
      emulator,
    });
    return { adapter, chosen, scores, baseLoss: base.loss };
  });
  const plan = job.refinement;
  const refinement =
    plan &&
    (await outcomeOf(outcomes, 'refine', () => refine(environment, job, { plan, correction })));
  return jobResultOf(job, { layers, tuned, correction, refinement });
}

/** Ratio 1: LoRA on the paged original, the upper bound to compare with. */
async function runPlainLora(
  environment: JobEnvironment,
  job: Job,
  outcomes: OutcomeStore,
): Promise<JobResult> {
  const tuned = await outcomeOf(outcomes, 'train', () =>
    tuneOn(environment, job, job.model.source),
  );
  return jobResultOf(job, { layers: [], tuned, correction: null, refinement: null });
}

async function outcomeOf<S extends keyof StageOutcome>(
  outcomes: OutcomeStore,
  stage: S,
  run: () => Promise<StageOutcome[S]>,
): Promise<StageOutcome[S]> {
  const finished = await outcomes.load(stage);
  if (finished) return finished;
  const outcome = await run();
  await outcomes.save(stage, outcome);
  return outcome;
}

async function tuneOn(
  environment: JobEnvironment,
  job: Job,
  source: LayerSource,
): Promise<TunedOutcome> {
  const { result, before, after } = await runTrainStage(environment, job, {
    stage: 'train',
    source,
    adapter: startingAdapter(job),
    plan: job.training,
    evaluateBefore: true,
  });
  return { ...result, before, after };
}

async function refine(
  environment: JobEnvironment,
  job: Job,
  { plan, correction }: { plan: TrainingPlan; correction: CorrectionOutcome },
): Promise<RefinementOutcome> {
  const {
    result: { adapter, steps },
    after: { loss },
  } = await runTrainStage(environment, job, {
    stage: 'refine',
    source: job.model.source,
    adapter: correction.adapter,
    plan,
    evaluateBefore: false,
  });
  const before = lossBeforeRefinement(correction);
  const kept = isRefinementKept(before, loss);
  if (!kept) environment.observer({ type: 'notice', message: refinementNotice(before, loss) });
  return { adapter, loss, steps, kept };
}

/** Validation loss of the adapter that refinement starts from. */
function lossBeforeRefinement({
  scores,
  chosen,
}: Pick<CorrectionOutcome, 'scores' | 'chosen'>): number {
  return scores[chosen] ?? Number.POSITIVE_INFINITY;
}

/** Whether the refined adapter is the result, by the validation losses before and after. */
export function isRefinementKept(before: number, after: number): boolean {
  return after <= before;
}

/** What is said where it is not. */
export function refinementNotice(before: number, after: number): string {
  return `refinement raised the validation loss from ${before.toFixed(4)} to ${after.toFixed(4)}: the adapter before it is kept`;
}

/**
 * The result of a job from the outcomes of its stages, wherever these ran. Depends on no order
 * within them.
 */
export function jobResultOf(job: Job, outcomes: JobOutcomes): JobResult {
  const {
    tuned: { before, after, ...train },
    correction,
    refinement,
  } = outcomes;
  if (!correction) {
    return {
      adapter: train.adapter,
      uncorrected: train.adapter,
      validation: {
        base: before?.loss ?? Number.NaN,
        emulator: null,
        emulatorTuned: null,
        uncorrected: after.loss,
        corrected: null,
        refined: null,
      },
      correction: null,
      refinement: null,
      emulator: null,
      train,
    };
  }
  const scores = orderedScores(job, correction.scores);
  const numbers = Object.entries(scores)
    .filter(([key]) => key !== 'none')
    .map(([, loss]) => loss);
  return {
    adapter: refinement?.kept ? refinement.adapter : correction.adapter,
    uncorrected: train.adapter,
    validation: {
      base: correction.baseLoss,
      emulator: before?.loss ?? null,
      emulatorTuned: after.loss,
      uncorrected: scores['none'] ?? Number.NaN,
      corrected: numbers.length > 0 ? Math.min(...numbers) : null,
      refined: refinement?.loss ?? null,
    },
    correction: { chosen: correction.chosen, scores },
    refinement: refinement && { steps: refinement.steps, kept: refinement.kept },
    emulator: emulatorReport(job, orderedLayers(job, outcomes.layers)),
    train,
  };
}

function orderedScores(
  job: Job,
  scores: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  const keys = ['none', ...lambdasOf(job.options.correction).map(String)];
  return Object.fromEntries(
    keys.flatMap((key) => (scores[key] === undefined ? [] : [[key, scores[key]]])),
  );
}

function orderedLayers(
  job: Job,
  layers: readonly EmulatedLayerReport[],
): readonly EmulatedLayerReport[] {
  const byName = new Map(
    layers.map(({ name, ratio, rank, relativeError, usedFallback }) => [
      name,
      { name, ratio, rank, relativeError, usedFallback },
    ]),
  );
  return job.emulated.flatMap(({ path }) => byName.get(path) ?? []);
}

/** The adapter that training starts from. */
export function startingAdapter(job: Job): LoraAdapter {
  const { rank, alpha, useRslora, targets, seed } = job.options;
  return initialAdapter(job.model.layout, { rank, alpha, useRslora, targets }, seed);
}

/** Size and quality of an emulator whose layers have these reports. */
export function emulatorReport(job: Job, layers: readonly EmulatedLayerReport[]): EmulatorReport {
  const originalParameters = job.model.layout.units
    .flatMap(({ tensors }) => tensors)
    .reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const saved = job.emulated.reduce(
    (sum, { linear: { inFeatures, outFeatures }, rank }) =>
      sum + inFeatures * outFeatures - rank * (inFeatures + outFeatures),
    0,
  );
  const worst = layers.reduce((most, layer) =>
    layer.relativeError > most.relativeError ? layer : most,
  );
  return {
    parameters: originalParameters - saved,
    originalParameters,
    worstLayer: { name: worst.name, relativeError: worst.relativeError },
    layers,
  };
}
