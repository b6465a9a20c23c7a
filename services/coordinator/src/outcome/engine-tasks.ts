import { findPlace } from '@emloc/checkpoint';
import { deviceTarget } from '@emloc/device-registry';
import {
  adapterFromRecord,
  budgetBytesOf,
  jobResultOf,
  planTune,
  prepareJob,
  writeOutcome,
} from '@emloc/pipeline';
import type { WorkerContext } from '@emloc/service/worker';

import type { OutcomeTask } from './engine.js';
import { inspect, inspectModel } from './inspect.js';
import { jobOutcomes } from './job-outcomes.js';
import type { EngineWorkerContract } from './worker-contract.js';

type TaskContext = Pick<WorkerContext<EngineWorkerContract>, 'request' | 'signal' | 'emit'>;

/** What the engine's thread does. @throws the typed errors of the engine */
export async function runEngineTask(
  task: EngineWorkerContract['task'],
  context: TaskContext,
): Promise<EngineWorkerContract['result']> {
  switch (task.kind) {
    case 'ready':
      return { kind: 'ready' };
    case 'inspect':
      return { kind: 'inspect', ...(await inspect(task.options, context.emit)) };
    case 'plan':
      await inspectModel(task.options, context.emit);
      context.emit('plan');
      return {
        kind: 'plan',
        ...(await planTune(task.options, deviceTarget(task.device, task.threads), {
          restrictImages: true,
        })),
      };
    case 'outcome':
      return { kind: 'outcome', budgetBytes: await makeOutcome(task, context) };
  }
}

/** Writes the adapter's folder as `emloc tune` does. @returns the budget that the job ran in */
async function makeOutcome(
  { options, results, program, choice, log }: OutcomeTask,
  context: TaskContext,
): Promise<number> {
  const [adapter, uncorrected] = [
    adapterFromRecord(await context.request('adapter')),
    adapterFromRecord(await context.request('uncorrected')),
  ];
  const { device, ...outcomes } = jobOutcomes(results, { adapter, uncorrected });
  const job = await prepareJob(options, { restrictImages: true });
  try {
    context.signal.throwIfAborted();
    await writeOutcome(await findPlace(options.out), job, {
      result: jobResultOf(job, outcomes),
      provenance: { program, device },
      choice,
      log,
    });
    return await budgetBytesOf(job, deviceTarget(device.split(',')[0]).profile);
  } finally {
    await job.close();
  }
}
