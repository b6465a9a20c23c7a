import type { EncodedRow } from '@emloc/dataset';
import { Device, formatBytes, MemoryBudget, type DeviceProfile } from '@emloc/device';
import { createNullBackend } from '@emloc/device-null';
import { DeviceAdapter } from '@emloc/finetune';

import { PipelineError } from '../errors.js';
import { plannedTiles, rowsWith, type JobImages } from '../job/images.js';
import { answersBringing, answerTask, type AnswerTask } from './answer-task.js';
import { planAnswers, singleAnswerBytes, weightBytes, type Answering } from './plan-answers.js';
import { imagePeakBytes } from './seen-images.js';
import type { TextModel } from './text-model.js';

/** What a model is opened for, to answer again and again. */
export interface ConversationNeeds {
  readonly opened: TextModel;
  readonly profile: DeviceProfile;
  /** Tokens that prompt and answer have together at most. */
  readonly contextTokens: number;
  /** Null: as much as is needed with all weights on the device. */
  readonly vramBytes: number | null;
}

export interface ConversationMemory {
  readonly budgetBytes: number;
  /** Device memory beside weights, whatever is asked. */
  readonly besideBytes: number;
}

/**
 * How the budget is divided for as long as a model stays opened: every answer within the context
 * fits, and what is left is for weights.
 * @throws PipelineError PIPELINE_DOES_NOT_FIT
 */
export async function planConversation(needs: ConversationNeeds): Promise<ConversationMemory> {
  const { opened, profile, vramBytes } = needs;
  const { all, least } = await weightBytes({ model: opened.model, profile });
  const answering = answeringOf(needs);
  const tasks = longestTasks(needs);
  const imageBytes = await bytesOfImages(needs);
  const budgetBytes = vramBytes ?? Math.max(all + imageBytes, await mostBytes(answering, tasks));
  let besideBytes = imageBytes;
  for (const task of tasks) {
    const planned = await shortened(() => planAnswers(answering, task, budgetBytes));
    besideBytes = Math.max(besideBytes, planned.besideBytes);
  }
  if (besideBytes + least <= budgetBytes) return { budgetBytes, besideBytes };
  throw new PipelineError(
    'PIPELINE_DOES_NOT_FIT',
    `images do not fit into ${formatBytes(budgetBytes)} beside the model's weights: at least ${formatBytes(besideBytes + least)} is needed`,
  );
}

/** Whether a conversation may show images: where they are looked at once, before the answer. */
export function takesImages({ imagesOf }: TextModel): boolean {
  return (imagesOf([])?.front ?? null) !== null;
}

function answeringOf({ opened, profile, contextTokens }: ConversationNeeds): Answering {
  const { model, adapter, recordedRow } = opened;
  // Drawn tokens need the logits, too.
  const sampling = { temperature: 1, topP: 1, seed: 0 };
  return { model, adapter, profile, sampling, longestRow: Math.max(contextTokens, recordedRow) };
}

/** A prompt that leaves one token to the answer, and one that leaves all but one. */
function longestTasks({ opened, profile, contextTokens }: ConversationNeeds): AnswerTask[] {
  return [contextTokens - 1, 1].map((promptTokens) => {
    const rows = [blankRow(opened, promptTokens)];
    const images = opened.imagesOf(rows);
    const maxNewTokens = contextTokens - promptTokens;
    const limits = { maxNewTokens, maxPositions: contextTokens, batch: 1 };
    const task = answerTask(rowsWith(images, opened.tables)(rows), limits);
    return images ? answersBringing(task, plannedTiles(images, profile.computeDType)) : task;
  });
}

/** A prompt of so many tokens, as many of them of images as can be. */
function blankRow(opened: TextModel, tokens: number): EncodedRow {
  const row = { ids: new Int32Array(tokens), trained: new Uint8Array(tokens), line: 0 };
  const limits = takesImages(opened) ? opened.whole.layout.images : null;
  const tiles = limits ? Math.floor(tokens / limits.tokensPerTile) : 0;
  if (!limits || tiles === 0) return row;
  const input = { kind: 'bytes', bytes: new Uint8Array(), label: '' } as const;
  const shown = { input, width: 1, height: 1, tiles, maxTiles: tiles, contextStart: 0 };
  return { ...row, images: [{ ...shown, contextTokens: tiles * limits.tokensPerTile }] };
}

/** Tells how less would do. @throws PipelineError PIPELINE_DOES_NOT_FIT */
async function shortened<T>(plan: () => Promise<T>): Promise<T> {
  try {
    return await plan();
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error;
    const message = `${error.message}; option context makes conversations shorter`;
    throw new PipelineError(error.code, message, { cause: error });
  }
}

async function mostBytes(answering: Answering, tasks: readonly AnswerTask[]): Promise<number> {
  const bytes: number[] = [];
  for (const task of tasks) bytes.push(await singleAnswerBytes(answering, task));
  return Math.max(...bytes);
}

/** What looking at an image takes beside the model's weights, the adapter being there. */
async function bytesOfImages({
  opened,
  profile,
  contextTokens,
}: ConversationNeeds): Promise<number> {
  if (!takesImages(opened)) return 0;
  const images: JobImages | null = opened.imagesOf([blankRow(opened, contextTokens - 1)]);
  if (!images || images.set.tiles === 0) return 0;
  const peakBytes = await imagePeakBytes({ whole: opened.whole, images }, profile);
  return peakBytes + (await adapterBytes(opened, profile));
}

async function adapterBytes(
  { adapter, model }: TextModel,
  profile: DeviceProfile,
): Promise<number> {
  const budget = new MemoryBudget(Number.POSITIVE_INFINITY);
  await using device = new Device(createNullBackend(profile), budget);
  const before = budget.inUseBytes;
  using _variant =
    adapter && DeviceAdapter.load(device, model.layout, adapter, { trainable: false });
  return budget.inUseBytes - before;
}
