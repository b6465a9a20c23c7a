import { create, type JsonObject } from '@bufbuild/protobuf';
import { PlanJobResponseSchema, type PlanJobResponse } from '@emloc/contracts';
import type { MethodChoice } from '@emloc/pipeline';

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
    const { plan, choice } = await withOptionFields('options', held.folder, () =>
      engine.plan(held.options, signal),
    );
    const { fits, budgetBytes, neededBytes, stages } = plan;
    return create(PlanJobResponseSchema, {
      fits,
      budgetBytes: BigInt(budgetBytes),
      neededBytes: BigInt(neededBytes),
      stages: stages.map(({ name, seconds, peakDeviceBytes }) => ({
        stage: stageEnum(name),
        seconds,
        peakDeviceBytes: BigInt(peakDeviceBytes),
      })),
      ...(choice && { methodChoice: jsonOf(choice) }),
    });
  } finally {
    await held.close();
  }
}

/** A choice as messages carry it. */
export function jsonOf(choice: MethodChoice): JsonObject {
  return JSON.parse(JSON.stringify(choice)) as JsonObject;
}

/** What a plan decides of a job whose options leave that open. @throws as `planJob` */
export async function decideJob(
  checked: CheckedOptions,
  { engine, datasetFiles }: { engine: Pick<Engine, 'plan'>; datasetFiles: DatasetFiles },
  { prefix, signal }: { readonly prefix: string; readonly signal: AbortSignal },
): Promise<MethodChoice | null> {
  const held = await datasetFiles.open(checked, { signal });
  try {
    const { choice } = await withOptionFields(prefix, held.folder, () =>
      engine.plan(held.options, signal),
    );
    return choice;
  } finally {
    await held.close();
  }
}
