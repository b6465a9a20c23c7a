import { CalibrateResultSchema, type CalibrateRequest } from '@emloc/contracts';
import { tensorKeys } from '@emloc/job-storage';
import { nameOrDiscard, reportMessage, type StageAttempt, type StageHandler } from '@emloc/stage';

import type { CalibrateContract, StatisticsReady } from './contract.js';

/** Calibrates and queues every block's statistics for the emulator builders as they are ready. */
export const calibrateStage: StageHandler<CalibrateRequest, typeof CalibrateResultSchema> = {
  stage: 'calibrate',
  result: CalibrateResultSchema,
  resumedFrom: async ({ job, instance, storage }) => {
    const states = await (await storage.openLayers(job, instance)).states();
    return [...states.values()].filter(({ state }) => state === 'running' || state === 'done')
      .length;
  },
  run: async (attempt) => {
    const queue = await attempt.storage.openLayers(attempt.job, attempt.instance);
    const states = await queue.states();
    // What is merely queued may have lost its message: it is queued again.
    const skip = [...states]
      .filter(([, { state }]) => state === 'running' || state === 'done')
      .map(([key]) => blockOf(key));
    const { report, layers, tokens } = await attempt.runEngine<CalibrateContract>(
      { skip },
      async (ready) => {
        const statistics = await storeStatistics(attempt, ready);
        await queue.add(`block-${ready.block}`, { block: ready.block, statistics });
        return null;
      },
    );
    return { report: reportMessage('calibrate', report), layers, tokens: BigInt(tokens) };
  },
};

async function storeStatistics(
  { job, token, records, write, signal }: StageAttempt,
  { block, record }: StatisticsReady,
): Promise<string> {
  const key = tensorKeys.statistics(job, block, token);
  await records.write('statistics', key, record, signal);
  // A superseded attempt queues nothing.
  await nameOrDiscard(records, key, () => write({}));
  return key;
}

function blockOf(key: string): number {
  return Number(key.slice('block-'.length));
}
