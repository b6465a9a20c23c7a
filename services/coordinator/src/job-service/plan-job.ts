import { create } from '@bufbuild/protobuf';
import { PlanJobResponseSchema, type PlanJobResponse } from '@emloc/contracts';

import { stageEnum } from '../jobs/events.js';
import type { DatasetFiles } from '../outcome/dataset-files.js';
import type { Engine } from '../outcome/engine.js';
import { withOptionFields } from './option-errors.js';
import type { CheckedOptions } from './tune-options.js';
import type { TurnLimits } from './turns.js';

/** Each plan has a thread, which computes. */
export const planLimits: TurnLimits = Object.freeze({
  places: 4,
  placesOfTenant: 1,
  waitingOfTenant: 16,
  restAfterMs: 1000,
  work: 'plans',
  reason: 'TOO_MANY_PLANS',
});

/** @throws RpcError; the signal's reason */
export async function planJob(
  checked: CheckedOptions,
  { engine, datasetFiles }: { engine: Pick<Engine, 'plan'>; datasetFiles: DatasetFiles },
  signal: AbortSignal,
): Promise<PlanJobResponse> {
  const held = await datasetFiles.open(checked, { signal });
  try {
    const { fits, budgetBytes, neededBytes, stages } = await withOptionFields(
      'options',
      held.folder,
      () => engine.plan(held.options, signal),
    );
    return create(PlanJobResponseSchema, {
      fits,
      budgetBytes: BigInt(budgetBytes),
      neededBytes: BigInt(neededBytes),
      stages: stages.map(({ name, seconds, peakDeviceBytes }) => ({
        stage: stageEnum(name),
        seconds,
        peakDeviceBytes: BigInt(peakDeviceBytes),
      })),
    });
  } finally {
    await held.close();
  }
}
