import {
  create,
  fromJson,
  toJson,
  type JsonValue,
  type MessageInitShape,
} from '@bufbuild/protobuf';
import { CorrectResultSchema, type CorrectRequest } from '@emloc/contracts';
import { tensorKeys, type CorrectionDone, type CorrectionWork } from '@emloc/job-storage';
import type { WorkQueue } from '@emloc/nats';
import type { TensorRecord } from '@emloc/pipeline';
import { moved, type Moved } from '@emloc/service/worker';
import {
  blockFactors,
  blockItems,
  blockKey,
  movedRecord,
  reportMessage,
  shareLayers,
  storeRecord,
  type LayerSharing,
  type StageAttempt,
  type StageHandler,
} from '@emloc/stage';
import type { EngineReport } from '@emloc/stage/engine';

import type { CorrectorContract, CorrectorOutcome, CorrectorRequest } from './contract.js';

type Queue = WorkQueue<CorrectionWork, CorrectionDone>;
type Sharing = LayerSharing<CorrectionWork, CorrectionDone>;
type Answer = CorrectorContract['response'] | Moved<CorrectorContract['response']>;

const choiceKey = 'choice';

/**
 * Corrects an adapter for the difference between emulator and original, block by block together
 * with the other replicas; when all blocks are corrected, one of them scores the candidates and
 * stores the best, whose result is every replica's.
 */
export const correctStage: StageHandler<CorrectRequest, typeof CorrectResultSchema> = {
  stage: 'correct',
  result: CorrectResultSchema,
  run: async (attempt, { adapter: given }) => {
    const queue = await attempt.storage.openCorrections(attempt.job, attempt.instance);
    const adapter = await attempt.records.read('lora', given?.name ?? '');
    const { report, corrections } = await correctBlocks(attempt, queue, adapter);
    return choose(attempt, queue, { adapter, corrections, report });
  },
};

interface CorrectedBlocks {
  readonly report: EngineReport;
  /** Keys of the blocks' corrections among the tensors. */
  readonly corrections: readonly string[];
}

async function correctBlocks(
  attempt: StageAttempt,
  queue: Queue,
  adapter: TensorRecord,
): Promise<CorrectedBlocks> {
  const factorsOf = blockFactors(attempt);
  return shareLayers(attempt, { stage: 'correct', queue }, async (shared) => {
    const { report } = await attempt.runEngine<CorrectorContract>(
      { kind: 'correct-blocks', adapter },
      async (request): Promise<Answer> => {
        switch (request.type) {
          case 'blocks':
            for (const { block } of request.blocks) await queue.add(blockKey(block), { block });
            shared.begin(blockItems(request.blocks));
            return null;
          case 'next':
            return nextBlock(shared, factorsOf);
          case 'corrections':
            await storeCorrections(attempt, shared, request);
            return null;
        }
      },
    );
    return {
      report,
      corrections: (await shared.results()).flatMap((done) =>
        done.kind === 'block' ? [done.corrections] : [],
      ),
    };
  });
}

async function nextBlock(
  shared: Sharing,
  factorsOf: (block: number) => Promise<TensorRecord>,
): Promise<Answer> {
  for (;;) {
    const item = await shared.next();
    const block = item?.payload.block;
    if (!item || block === undefined || block === null) return null;
    try {
      const { value: factors, transfer } = movedRecord(await factorsOf(block));
      return moved({ block, factors }, transfer);
    } catch (error) {
      await shared.fail(item, error);
    }
  }
}

async function storeCorrections(
  { job, records, signal }: StageAttempt,
  shared: Sharing,
  { block, record }: Extract<CorrectorRequest, { type: 'corrections' }>,
): Promise<void> {
  const item = shared.held(blockKey(block));
  if (!item) return;
  const corrections = tensorKeys.corrections(job, block, item.token);
  await records.write('lora', corrections, record, signal);
  if (!(await shared.complete(item, { kind: 'block', block, corrections })))
    await records.delete(corrections);
}

interface ChoiceInputs extends CorrectedBlocks {
  readonly adapter: TensorRecord;
}

async function choose(
  attempt: StageAttempt,
  queue: Queue,
  inputs: ChoiceInputs,
): Promise<MessageInitShape<typeof CorrectResultSchema>> {
  await queue.add(choiceKey, { block: null });
  return shareLayers(attempt, { stage: 'correct', queue }, async (shared) => {
    shared.begin([{ key: choiceKey }]);
    for (let item = await shared.next(); item; item = await shared.next()) {
      const adapter = tensorKeys.adapter(attempt.job, 'correct', item.token);
      const result = await scoreCandidates(attempt, adapter, inputs);
      const json = toJson(CorrectResultSchema, create(CorrectResultSchema, result));
      if (await shared.complete(item, { kind: 'choice', result: json })) return result;
      await attempt.records.delete(adapter);
    }
    const [done] = await shared.results();
    if (done?.kind !== 'choice') throw new Error('the choice among the corrections is missing');
    return fromJson(CorrectResultSchema, done.result as JsonValue);
  });
}

async function scoreCandidates(
  attempt: StageAttempt,
  key: string,
  { adapter, corrections: keys, report: before }: ChoiceInputs,
): Promise<MessageInitShape<typeof CorrectResultSchema>> {
  const { records, storage } = attempt;
  const corrections: TensorRecord[] = [];
  for (const name of keys) corrections.push(await records.read('lora', name));
  const outcome = (await attempt.runEngine<CorrectorContract>(
    { kind: 'choose', adapter, corrections },
    refuse,
  )) as Extract<CorrectorOutcome, { kind: 'choose' }>;
  const { report, chosen, scores, baseLoss, adapter: record } = outcome;
  const seconds = before.seconds + report.seconds;
  const peakDeviceBytes = Math.max(before.peakDeviceBytes, report.peakDeviceBytes);
  return {
    report: reportMessage('correct', { ...report, seconds, peakDeviceBytes }),
    correction: { chosen, scores: { ...scores } },
    baseLoss,
    adapter: await storeRecord(records, storage, { key, record }),
  };
}

function refuse(): Promise<never> {
  return Promise.reject(new Error('choosing asks for nothing'));
}
