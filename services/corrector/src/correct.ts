import { type CorrectRequest, CorrectResultSchema } from '@emloc/contracts';
import { tensorKeys } from '@emloc/job-storage';
import { blockFactors, movedRecord, reportMessage, type StageHandler, storeAdapter } from '@emloc/stage-runtime';
import type { CorrectorContract, CorrectOutcome } from './contract.js';

/** Corrects an adapter for the difference between emulator and original, and stores the candidate that scores best. */
export const correctStage: StageHandler<CorrectRequest, typeof CorrectResultSchema> = {
  stage: 'correct',
  result: CorrectResultSchema,
  run: async (attempt, { adapter: given }) => {
    const { job, token, records, storage } = attempt;
    const factorsOf = blockFactors(attempt);
    const adapter = await records.read('lora', given?.name ?? '');
    const outcome = await attempt.runEngine<CorrectorContract>({ kind: 'correct', adapter }, async ({ block }) => movedRecord(await factorsOf(block)));
    const { report, chosen, scores, baseLoss, adapter: record } = outcome as CorrectOutcome;
    return {
      report: reportMessage('correct', report),
      correction: { chosen, scores: { ...scores } },
      baseLoss,
      adapter: await storeAdapter(records, storage, { key: tensorKeys.adapter(job, 'correct', token), record }),
    };
  },
};
