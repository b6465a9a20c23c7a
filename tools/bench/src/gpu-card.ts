import process from 'node:process';
import { createCudaBackend, type CudaBackend } from '@emloc/device-cuda';

import { ProfiledBackend, profileTable } from './gpu-profile.js';
import { runTraining, type TrainingMemory, type TrainingTask } from './gpu-training.js';

export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** How the card is opened. */
export interface CardSettings {
  readonly ordinal: number;
  readonly useWgmma: boolean;
  readonly useGraphs: boolean;
}

export async function withCard<T>(
  { ordinal, useWgmma, useGraphs }: CardSettings,
  capacityBytes: number,
  run: (backend: CudaBackend) => Promise<T>,
): Promise<T> {
  const backend = createCudaBackend({ ordinal, capacityBytes, useWgmma, useGraphs });
  try {
    return await run(backend);
  } finally {
    await backend.close();
  }
}

/** What the process took on the card beside the driver's context. */
export function peakBytes(backend: CudaBackend): number {
  const { ownBytes, usedBytes, overhead } = backend.measureMemory();
  return (ownBytes ?? usedBytes) - overhead.context;
}

/** How much was launched as graphs, for notes. */
export function graphNote({ graphUse: { recorded, launched } }: CudaBackend): string {
  return `${recorded} graphs recorded, launched ${launched} times`;
}

/** Times every kind of launch of the task's last step, which is its third or a later one. */
export async function profileStep(
  backend: CudaBackend,
  task: TrainingTask,
  memory: TrainingMemory,
): Promise<void> {
  const profiled = new ProfiledBackend(backend);
  await runTraining(task, profiled.backend, {
    memory,
    reads: 'real',
    onStep: (step) => {
      if (step === 2) profiled.record();
    },
  });
  process.stdout.write(
    `a step of ${task.sequences} x ${task.sequenceLength} rows, by launches\n${profileTable(await profiled.finish())}`,
  );
}
