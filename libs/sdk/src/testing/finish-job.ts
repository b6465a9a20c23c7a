import {
  Artifact_Kind as Kind,
  Stage,
  StageStateChanged_State as StageState,
  Job_State as State,
} from '@emloc/contracts';

import type { FakeJobService } from './fake-job-service.js';

/** The contents of every file of a finished job's adapter. */
export const fakeAdapter: Uint8Array = Uint8Array.from(
  { length: 200_000 },
  (_, index) => (index * 31 + (index >> 8)) & 255,
);

const files = [
  ['adapter_model.safetensors', Kind.ADAPTER],
  ['adapter_config.json', Kind.ADAPTER],
  ['emloc.json', Kind.REPORT],
  ['uncorrected/adapter_model.safetensors', Kind.UNCORRECTED_ADAPTER],
  ['uncorrected/adapter_config.json', Kind.UNCORRECTED_ADAPTER],
] as const;

/** Plays the course of a job that succeeds: events of every type, an adapter, a report. */
export function finishJob(service: FakeJobService, name: string): void {
  const stage = Stage.TRAIN;
  service.emit(
    name,
    { case: 'stateChanged', value: { state: State.RUNNING } },
    {
      case: 'stageStateChanged',
      value: { stage: Stage.CALIBRATE, state: StageState.STARTED, attempt: 1 },
    },
    { case: 'progress', value: { stage: Stage.CALIBRATE, task: 'blocks', done: 1n, total: 2n } },
    { case: 'notice', value: { message: 'rows were truncated' } },
    { case: 'stageStateChanged', value: { stage, state: StageState.STARTED, attempt: 1 } },
    {
      case: 'step',
      value: {
        stage,
        step: 1,
        steps: 1,
        loss: 0.5,
        learningRate: 1e-3,
        gradientNorm: 1,
        tokens: 64n,
        seconds: 0.1,
      },
    },
    { case: 'stageStateChanged', value: { stage, state: StageState.FINISHED, attempt: 1 } },
  );
  for (const [path, kind] of files) {
    service.emit(name, {
      case: 'artifactCreated',
      value: { artifact: service.addArtifact(name, path, { bytes: fakeAdapter, kind }) },
    });
  }
  service.update(name, {
    stage,
    report: {
      budgetBytes: 2n ** 30n,
      peakDeviceBytes: 2n ** 20n,
      stages: [{ stage, seconds: 1, peakDeviceBytes: 2n ** 20n, device: 'cpu' }],
      validation: { base: 4, emulator: 4.5, emulatorTuned: 2, uncorrected: 3, corrected: 1 },
      correction: { chosen: '3', scores: { none: 3, 3: 1 } },
      emulator: {
        parameters: 5n,
        originalParameters: 10n,
        worstLayer: { name: 'q_proj', relativeError: 0.1 },
      },
      train: { steps: 1, tokens: 64n, tokensPerSecond: 640, finalLoss: 0.5 },
    },
  });
  service.emit(name, { case: 'stateChanged', value: { state: State.SUCCEEDED } });
}
