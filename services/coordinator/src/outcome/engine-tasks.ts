import { findPlace } from '@emloc/checkpoint';
import { scanRows } from '@emloc/dataset';
import { deviceTarget } from '@emloc/device-registry';
import { parseRatioRules, ratioOf } from '@emloc/emulator';
import { adaptedLinears } from '@emloc/finetune';
import { openModel } from '@emloc/models';
import {
  adapterFromRecord,
  budgetBytesOf,
  jobResultOf,
  maxLengthOf,
  planTune,
  prepareJob,
  writeOutcome,
  type TuneOptions,
} from '@emloc/pipeline';
import type { WorkerContext } from '@emloc/service-kit';

import { maxInspectedBytes, type Inspection, type OutcomeTask } from './engine.js';
import { jobOutcomes } from './job-outcomes.js';
import type { EngineWorkerContract } from './worker-contract.js';

const maxScanMs = 5000;

type TaskContext = Pick<WorkerContext<EngineWorkerContract>, 'request' | 'signal'>;

/** What the engine's thread does. @throws the typed errors of the engine */
export async function runEngineTask(
  task: EngineWorkerContract['task'],
  context: TaskContext,
): Promise<EngineWorkerContract['result']> {
  switch (task.kind) {
    case 'inspect':
      return { kind: 'inspect', ...(await inspect(task.options)) };
    case 'plan':
      return {
        kind: 'plan',
        plan: await planTune(task.options, deviceTarget(task.device, task.threads)),
      };
    case 'outcome':
      return { kind: 'outcome', budgetBytes: await makeOutcome(task, context) };
  }
}

async function inspect(options: TuneOptions): Promise<Inspection> {
  const emulated = await isEmulated(options);
  const scan = (path: string) => scanRows({ path, maxBytes: maxInspectedBytes, maxMs: maxScanMs });
  return {
    isEmulated: emulated,
    data: await scan(options.data),
    validation: options.validation === null ? null : await scan(options.validation),
  };
}

/** Checks the model, and options against it. Any layer whose ratio is below 1 makes an emulator. */
async function isEmulated(options: TuneOptions): Promise<boolean> {
  const { allowUnusedLayers } = options;
  const model = await openModel(options.model, { allowUnusedLayers });
  try {
    const { layout } = model;
    maxLengthOf(options.maxLength, layout.text);
    adaptedLinears(layout, options.targets);
    const rules = parseRatioRules(options.ratios);
    return layout.linears.some((linear) => ratioOf(rules, linear) < 1);
  } finally {
    await model.close();
  }
}

/** Writes the adapter's folder as `emloc tune` does. @returns the budget that the job ran in */
async function makeOutcome(
  { options, results, program }: OutcomeTask,
  context: TaskContext,
): Promise<number> {
  const [adapter, uncorrected] = [
    adapterFromRecord(await context.request('adapter')),
    adapterFromRecord(await context.request('uncorrected')),
  ];
  const { device, ...outcomes } = jobOutcomes(results, { adapter, uncorrected });
  const job = await prepareJob(options);
  try {
    context.signal.throwIfAborted();
    await writeOutcome(await findPlace(options.out), job, {
      result: jobResultOf(job, outcomes),
      provenance: { program, device },
    });
    return await budgetBytesOf(job, deviceTarget(device.split(',')[0]).profile);
  } finally {
    await job.close();
  }
}
