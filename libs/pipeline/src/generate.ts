import { at } from '@emloc/checked';
import { answerEndIds, encodePrompt, TextStream } from '@emloc/dataset';
import { Device, MemoryBudget } from '@emloc/device';
import { DeviceAdapter, type GeneratedAnswer } from '@emloc/finetune';
import { textLimits, type Model } from '@emloc/models';
import { allDeviceBytes, openPager } from '@emloc/weight-pager';

import { answerRows } from './answers/answer-rows.js';
import {
  answersBringing,
  answerTask,
  longestAnswered,
  promptRow,
  type AnswerTask,
} from './answers/answer-task.js';
import { planAnswers, singleAnswerBytes, type Answering } from './answers/plan-answers.js';
import { assertImagesFit, seeImages } from './answers/seen-images.js';
import { openTextModel, type GenerateHost } from './answers/text-model.js';
import { PipelineError } from './errors.js';
import { plannedTiles, rowsWith, type JobImages } from './job/images.js';
import { assertOptionsOf } from './options/modality.js';
import type { GenerateOptions } from './options/resolve.js';
import { inferenceBytes } from './plan/default-budget.js';

/** An answer, as `generate` prints it. */
export interface GenerateReport {
  readonly text: string;
  readonly promptTokens: number;
  readonly tokens: number;
  /** Whether the model ended it, or the most tokens that it could have. */
  readonly finish: GeneratedAnswer['finish'];
  /** What a template took for today, as `YYYY-MM-DD`. */
  readonly date: string;
  readonly budgetBytes: number;
  readonly peakDeviceBytes: number;
  /** From the first pass to the last token. */
  readonly seconds: number;
  readonly tokensPerSecond: number;
}

/**
 * Answers a prompt with a model, with an adapter or without, within a budget.
 * @throws PipelineError PIPELINE_INVALID_OPTION for a prompt that the model cannot read,
 * PIPELINE_DOES_NOT_FIT; DatasetError; those of models, adapters and devices
 */
export async function generateText(
  given: GenerateOptions,
  host: GenerateHost,
): Promise<GenerateReport> {
  assertOptionsOf('generate', given, 'text');
  await using opened = await openTextModel(given, host);
  const { whole, model, adapter, source, tokenizer, tables } = opened;
  const { system, images: shown } = given;
  const prompt = await encodePrompt(
    { text: given.prompt, system, images: shown },
    tokenizer,
    source.images,
    host.signal,
  );
  const maxPositions = readablePositions(prompt.ids, given, whole);
  const limits = { maxNewTokens: given.maxNewTokens, maxPositions, batch: 1 };
  const images = opened.imagesOf([promptRow(prompt)]);
  const task = answerTask(rowsWith(images, tables)([promptRow(prompt)]), limits);
  const longest = Math.max(longestAnswered(task), opened.recordedRow);
  const { profile } = host.target;
  const { temperature, topP, seed } = given;
  const sampling = { temperature, topP, seed };
  const answering = { model, adapter, profile, sampling, longestRow: longest };
  const stream = new TextStream(tokenizer);
  const { answer, ...measured } = await answerWithin(
    { whole, images, answering, task, options: given },
    host,
    {
      stopIds: answerEndIds(tokenizer),
      onToken: (id) => show(stream.add(id), host),
    },
  );
  show(stream.end(), host);
  const tokens = answer.ids.length;
  return {
    text: tokenizer.decode(answer.ids, { skipSpecialTokens: true }),
    ...{ promptTokens: prompt.ids.length, tokens, finish: answer.finish, date: source.date },
    ...measured,
    tokensPerSecond: tokens / measured.seconds,
  };
}

function show(text: string, { onText }: GenerateHost): void {
  if (text !== '') onText?.(text);
}

/**
 * Tokens that prompt and answer may have together.
 * @throws PipelineError PIPELINE_INVALID_OPTION
 */
function readablePositions(
  { length }: Int32Array,
  { context }: Pick<GenerateOptions, 'context'>,
  { layout }: Model,
): number {
  const { maxPositions } = textLimits(layout);
  const most = context ?? maxPositions;
  if (length > 0 && length < most) return most;
  const limit =
    most < maxPositions ? `option context is ${most}` : `the model has ${maxPositions} positions`;
  throw new PipelineError(
    'PIPELINE_INVALID_OPTION',
    length === 0
      ? 'option prompt: it has no token, and the tokenizer puts none before it'
      : `option prompt: ${length} tokens with what the chat template adds, ${limit}, of which an answer needs at least 1`,
  );
}

interface AnswerInputs {
  readonly whole: Model;
  readonly images: JobImages | null;
  readonly answering: Answering;
  readonly task: AnswerTask;
  readonly options: GenerateOptions;
}

interface MeasuredAnswer extends Pick<
  GenerateReport,
  'budgetBytes' | 'peakDeviceBytes' | 'seconds'
> {
  readonly answer: GeneratedAnswer;
}

async function answerWithin(
  { whole, images, answering, options, ...given }: AnswerInputs,
  host: GenerateHost,
  { stopIds, onToken }: { stopIds: ReadonlySet<number>; onToken: (id: number) => void },
): Promise<MeasuredAnswer> {
  const { model, adapter, sampling, longestRow } = answering;
  const { layout, source } = model;
  const { hostBytes, prefetch } = options;
  const { target, pagerObserver: observer, signal } = host;
  const { computeDType } = target.profile;
  const task = images
    ? answersBringing(given.task, plannedTiles(images, computeDType))
    : given.task;
  const budgetBytes = options.vramBytes ?? (await defaultBytes({ whole, images, answering, task }));
  if (images) await assertImagesFit({ whole, images }, target.profile, budgetBytes);
  const { groupRows, besideBytes } = await planAnswers(answering, task, budgetBytes);
  const budget = new MemoryBudget(budgetBytes);
  await using device = new Device(await target.open(budgetBytes), budget);
  await using seen = images && (await seeImages({ whole, images }, { ...host, device, hostBytes }));
  const all = allDeviceBytes(source, device);
  await using pager = openPager({
    ...{ device, source, hostBytes, prefetch, observer, signal },
    deviceBytes: Math.min(all, budgetBytes - besideBytes),
  });
  using variant = adapter && DeviceAdapter.load(device, layout, adapter, { trainable: false });
  const started = performance.now();
  const answers = await answerRows(seen ? answersBringing(task, seen.tiles) : task, {
    ...{ model: { device, layout, pager, longestRow }, adapter: variant },
    ...{ sampling, stopIds, groupRows, signal, onToken: (_row: number, id: number) => onToken(id) },
  });
  const seconds = (performance.now() - started) / 1000;
  return { answer: at(answers, 0), budgetBytes, peakDeviceBytes: budget.peakBytes, seconds };
}

/** What one answer takes with all weights on the device, or what inference takes with an image. */
async function defaultBytes({
  whole,
  images,
  answering,
  task,
}: Omit<AnswerInputs, 'options'>): Promise<number> {
  const bytes = await singleAnswerBytes(answering, task);
  if (!images?.front) return bytes;
  const tokens = longestAnswered(task);
  return Math.max(bytes, await inferenceBytes(whole, answering.profile, tokens));
}
