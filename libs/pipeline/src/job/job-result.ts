import type { LoraAdapter } from '@emloc/checkpoint';
import { parameterCount } from '@emloc/models';

import { lambdasOf } from '../stages/correct.js';
import type { EmulatedLayerReport } from './emulated-layer-report.js';
import type { Job } from './job.js';
import type { CorrectionOutcome, RefinementOutcome, TunedOutcome } from './stage-outcomes.js';
import { endingOf, type Ending, type TrainingCourse } from './training-course.js';

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
  readonly train: Omit<TunedOutcome, 'before' | 'after' | 'course'>;
  readonly ending: Ending;
  /** Validation loss of the original with the adapter that is the result. */
  readonly resultLoss: number;
  readonly courses: { readonly train: TrainingCourse; readonly refine: TrainingCourse | null };
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
 * The result of a job from the outcomes of its stages, wherever these ran. Depends on no order
 * within them.
 */
export function jobResultOf(job: Job, outcomes: JobOutcomes): JobResult {
  const {
    tuned: { before, after, course, ...train },
    correction,
    refinement,
  } = outcomes;
  const courses = { train: course, refine: refinement?.course ?? null };
  if (!correction) {
    const losses = { base: before?.loss ?? Number.NaN, final: after.loss };
    return {
      adapter: train.adapter,
      uncorrected: train.adapter,
      validation: {
        base: losses.base,
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
      ending: endingOf(course, losses),
      resultLoss: losses.final,
      courses,
    };
  }
  const final = refinement?.kept ? refinement.loss : chosenLoss(correction);
  const scores = orderedScores(job, correction.scores);
  const numbers = Object.entries(scores)
    .filter(([key]) => key !== 'none')
    .map(([, loss]) => loss)
    .filter((loss) => Number.isFinite(loss));
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
    ending: endingOf(course, { base: correction.baseLoss, final }),
    resultLoss: final,
    courses,
  };
}

function chosenLoss({ chosen, scores }: CorrectionOutcome): number {
  return scores[chosen] ?? Number.NaN;
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
    layers.map(({ name, ratio, rank, relativeError, solver, usedFallback }) => [
      name,
      { name, ratio, rank, relativeError, solver, usedFallback },
    ]),
  );
  return job.emulated.flatMap(({ path }) => byName.get(path) ?? []);
}

/** Size and quality of an emulator whose layers have these reports. */
export function emulatorReport(job: Job, layers: readonly EmulatedLayerReport[]): EmulatorReport {
  const originalParameters = parameterCount(job.whole.layout);
  const saved = job.emulated.reduce(
    (sum, { inFeatures, outFeatures, rank }) =>
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
