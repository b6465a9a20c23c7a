import { BuildEmulatorResultSchema, type BuildEmulatorRequest } from '@emloc/contracts';
import { tensorKeys, type LayerResult, type LayerWork } from '@emloc/job-storage';
import { moved, type Moved } from '@emloc/service/worker';
import {
  blockItems,
  blockKey,
  movedRecord,
  reportMessage,
  shareLayers,
  type LayerSharing,
  type StageAttempt,
  type StageHandler,
} from '@emloc/stage';

import type { BuildContract, BuildRequest } from './contract.js';

type Sharing = LayerSharing<LayerWork, LayerResult>;
type Answer = BuildContract['response'] | Moved<BuildContract['response']>;

/**
 * Turns queued statistics into stored factors, together with the other replicas, until every block
 * is done.
 */
export const buildEmulatorStage: StageHandler<
  BuildEmulatorRequest,
  typeof BuildEmulatorResultSchema
> = {
  stage: 'emulate',
  result: BuildEmulatorResultSchema,
  resumedFrom: async ({ job, instance, storage }) => {
    const states = await (await storage.openLayers(job, instance)).states();
    return [...states.values()].filter(({ state }) => state === 'done').length;
  },
  run: async (attempt) => {
    const queue = await attempt.storage.openLayers(attempt.job, attempt.instance);
    return shareLayers(attempt, { stage: 'emulate', queue }, async (sharing) => {
      const { report, emulator } = await attempt.runEngine<BuildContract>({}, (request) =>
        answer(attempt, sharing, request),
      );
      const { parameters, originalParameters, worstLayer, layers } = emulator;
      return {
        report: reportMessage('emulate', report),
        emulator: {
          parameters: BigInt(parameters),
          originalParameters: BigInt(originalParameters),
          worstLayer,
          layers: layers.map((layer) => ({ ...layer })),
        },
      };
    });
  },
};

async function answer(
  attempt: StageAttempt,
  sharing: Sharing,
  request: BuildRequest,
): Promise<Answer> {
  switch (request.type) {
    case 'blocks':
      sharing.begin(blockItems(request.blocks));
      return null;
    case 'next':
      return nextBlock(attempt, sharing);
    case 'factors':
      await storeFactors(attempt, sharing, request);
      return null;
    case 'reports':
      return (await sharing.results()).flatMap(({ reports }) => reports);
  }
}

async function nextBlock({ records }: StageAttempt, sharing: Sharing): Promise<Answer> {
  for (;;) {
    const item = await sharing.next();
    if (!item) return null;
    const { block, statistics } = item.payload;
    try {
      const { value: record, transfer } = movedRecord(await records.read('statistics', statistics));
      return moved({ block, record }, transfer);
    } catch (error) {
      await sharing.fail(item, error);
    }
  }
}

async function storeFactors(
  { job, records, signal }: StageAttempt,
  sharing: Sharing,
  { block, record, reports }: Extract<BuildRequest, { type: 'factors' }>,
): Promise<void> {
  const item = sharing.held(blockKey(block));
  if (!item) return;
  const factors = tensorKeys.factors(job, block, item.token);
  await records.write('factors', factors, record, signal);
  const counts = await sharing.complete(item, { block, factors, reports });
  await records.delete(counts ? item.payload.statistics : factors);
}
