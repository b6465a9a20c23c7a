import type { LoraAdapter } from '@emloc/checkpoint';
import { elementCount } from '@emloc/device';
import { type Evaluation, initialAdapter, type TrainResult } from '@emloc/finetune';
import type { JobEnvironment } from './environment.js';
import { emulatorSource } from './factor-store.js';
import type { Job } from './job.js';
import { buildEmulator, type EmulatedLayerReport } from './stages/emulate.js';
import { correct, type CorrectionResult } from './stages/correct.js';
import { runTrainStage } from './stages/train.js';

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
  readonly correction: Pick<CorrectionResult, 'chosen' | 'scores'> | null;
  /** `kept` tells whether the refined adapter is the result; it is not where refinement raised the validation loss. */
  readonly refinement: { readonly steps: number; readonly kept: boolean } | null;
  readonly emulator: EmulatorReport | null;
  readonly train: TrainResult;
}

/** Runs all stages of a job in this process. The same for a real device and for planning on a null one. */
export function runJob(environment: JobEnvironment, job: Job): Promise<JobResult> {
  return job.emulated.length === 0 ? runPlainLora(environment, job) : runEmloc(environment, job);
}

async function runEmloc(environment: JobEnvironment, job: Job): Promise<JobResult> {
  const layers = await buildEmulator(environment, job);
  const emulator = emulatorSource(job.model, job.emulated, { store: environment.factors, profile: environment.device.profile });
  const tuned = await runTrainStage(environment, job, {
    stage: 'train', source: emulator, adapter: startingAdapter(job), plan: job.training, evaluateBefore: true,
  });
  const uncorrected = tuned.result.adapter;
  const correction = await correct(environment, job, { adapter: uncorrected, emulator });
  const refinement = await refine(environment, job, correction);
  const numbers = Object.entries(correction.scores).filter(([key]) => key !== 'none').map(([, loss]) => loss);
  return {
    adapter: refinement?.kept ? refinement.adapter : correction.adapter,
    uncorrected,
    validation: {
      base: correction.base.loss,
      emulator: tuned.before?.loss ?? null,
      emulatorTuned: tuned.after.loss,
      uncorrected: correction.scores['none'] ?? Number.NaN,
      corrected: numbers.length > 0 ? Math.min(...numbers) : null,
      refined: refinement?.evaluation.loss ?? null,
    },
    correction: { chosen: correction.chosen, scores: correction.scores },
    refinement: refinement && { steps: refinement.steps, kept: refinement.kept },
    emulator: emulatorReport(job, layers),
    train: tuned.result,
  };
}

/** Ratio 1: LoRA on the paged original, the upper bound to compare with. */
async function runPlainLora(environment: JobEnvironment, job: Job): Promise<JobResult> {
  const tuned = await runTrainStage(environment, job, {
    stage: 'train', source: job.model.source, adapter: startingAdapter(job), plan: job.training, evaluateBefore: true,
  });
  return {
    adapter: tuned.result.adapter,
    uncorrected: tuned.result.adapter,
    validation: {
      base: tuned.before?.loss ?? Number.NaN, emulator: null, emulatorTuned: null, uncorrected: tuned.after.loss, corrected: null, refined: null,
    },
    correction: null,
    refinement: null,
    emulator: null,
    train: tuned.result,
  };
}

interface Refinement {
  readonly adapter: LoraAdapter;
  readonly evaluation: Evaluation;
  readonly steps: number;
  readonly kept: boolean;
}

async function refine(environment: JobEnvironment, job: Job, correction: CorrectionResult): Promise<Refinement | null> {
  if (!job.refinement) return null;
  const refined = await runTrainStage(environment, job, {
    stage: 'refine', source: job.model.source, adapter: correction.adapter, plan: job.refinement, evaluateBefore: false,
  });
  const before = correction.scores[correction.chosen] ?? Number.POSITIVE_INFINITY;
  const kept = refined.after.loss <= before;
  if (!kept) {
    environment.observer({
      type: 'notice', message: `refinement raised the validation loss from ${before.toFixed(4)} to ${refined.after.loss.toFixed(4)}: the adapter before it is kept`,
    });
  }
  return { adapter: refined.result.adapter, evaluation: refined.after, steps: refined.result.steps, kept };
}

/** The adapter that training starts from. */
export function startingAdapter(job: Job): LoraAdapter {
  const { rank, alpha, useRslora, targets, seed } = job.options;
  return initialAdapter(job.model.layout, { rank, alpha, useRslora, targets }, seed);
}

function emulatorReport(job: Job, layers: readonly EmulatedLayerReport[]): EmulatorReport {
  const originalParameters = job.model.layout.units.flatMap(({ tensors }) => tensors).reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const saved = job.emulated.reduce((sum, { linear: { inFeatures, outFeatures }, rank }) => sum + inFeatures * outFeatures - rank * (inFeatures + outFeatures), 0);
  const worst = layers.reduce((most, layer) => (layer.relativeError > most.relativeError ? layer : most));
  return {
    parameters: originalParameters - saved,
    originalParameters,
    worstLayer: { name: worst.name, relativeError: worst.relativeError },
    layers,
  };
}
