import {
  Ending,
  type TrainingCourse as CourseMessage,
  type StageReport as StageReportMessage,
  type TuneReport as TuneReportMessage,
} from '@emloc/contracts';

import { fromStage } from './stages.js';
import type { StageReport, TrainingCourse, TuneReport } from './values.js';

const endings: Readonly<Record<Ending, TuneReport['ending']>> = Object.freeze({
  [Ending.UNSPECIFIED]: null,
  [Ending.SOUND]: 'sound',
  [Ending.WORSE]: 'worse',
  [Ending.DIVERGED]: 'diverged',
});

export function fromReport(report: TuneReportMessage): TuneReport {
  const {
    budgetBytes,
    peakDeviceBytes,
    stages,
    validation,
    correction,
    emulator,
    train,
    refinement,
    ending,
  } = report;
  return {
    budgetBytes: Number(budgetBytes),
    peakDeviceBytes: Number(peakDeviceBytes),
    stages: stages.map((stage) => ({ ...fromStageReport(stage), device: stage.device })),
    validation: {
      base: validation?.base ?? Number.NaN,
      emulator: validation?.emulator ?? null,
      emulatorTuned: validation?.emulatorTuned ?? null,
      uncorrected: validation?.uncorrected ?? Number.NaN,
      corrected: validation?.corrected ?? null,
      refined: validation?.refined ?? null,
    },
    correction: correction ? { chosen: correction.chosen, scores: { ...correction.scores } } : null,
    emulator: emulator ? fromEmulator(emulator) : null,
    train: {
      steps: train?.steps ?? 0,
      tokens: Number(train?.tokens ?? 0),
      tokensPerSecond: train?.tokensPerSecond ?? 0,
      finalLoss: train?.finalLoss ?? Number.NaN,
    },
    refinement: refinement ? { steps: refinement.steps, kept: refinement.kept } : null,
    ending: endings[ending],
    courses: {
      train: fromCourse(train?.course),
      refine: refinement ? fromCourse(refinement.course) : null,
    },
  };
}

function fromCourse(course: CourseMessage | undefined): TrainingCourse {
  const { curve = [], chosenStep = 0, divergence = '', stoppedEarly = false } = course ?? {};
  return {
    curve: curve.length === 0 ? null : curve.map(({ step, loss }) => ({ step, loss })),
    chosenStep,
    divergence: divergence === '' ? null : divergence,
    stoppedEarly,
  };
}

function fromEmulator({
  parameters,
  originalParameters,
  worstLayer,
}: NonNullable<TuneReportMessage['emulator']>): TuneReport['emulator'] {
  return {
    parameters: Number(parameters),
    originalParameters: Number(originalParameters),
    worstLayer: {
      name: worstLayer?.name ?? '',
      relativeError: worstLayer?.relativeError ?? Number.NaN,
    },
  };
}

export function fromStageReport({
  stage,
  seconds,
  peakDeviceBytes,
}: StageReportMessage): StageReport {
  return { name: fromStage(stage), seconds, peakDeviceBytes: Number(peakDeviceBytes) };
}
