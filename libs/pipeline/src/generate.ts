import { at } from '@emloc/checked';
import { readPeftAdapter, settleOutput, type LoraAdapter } from '@emloc/checkpoint';
import { answerEndIds, encodePrompt, loadTokenizer, TextStream } from '@emloc/dataset';
import { Device, MemoryBudget, type DeviceTarget } from '@emloc/device';
import { DeviceAdapter, type GeneratedAnswer } from '@emloc/finetune';
import { adaptableModules, openModel, type Model } from '@emloc/models';
import { deviceBytes, openPager, type PagerObserver } from '@emloc/weight-pager';

import { answerRows } from './answers/answer-rows.js';
import { longestAnswered, textTask, type AnswerTask } from './answers/answer-task.js';
import { planAnswers, singleAnswerBytes, type Answering } from './answers/plan-answers.js';
import { PipelineError } from './errors.js';
import { recordedLongestRow } from './job/longest-row-record.js';
import { textSourceOf, withRecordedText } from './job/text-record.js';
import type { GenerateOptions } from './options/resolve.js';

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

export interface GenerateHost {
  readonly target: DeviceTarget;
  /** Parts of the text as they are made; together they are the text. */
  readonly onText?: (text: string) => void;
  /** Told what the user should know, such as tensors of the checkpoint that are not used. */
  readonly onNotice?: (message: string) => void;
  readonly pagerObserver?: PagerObserver;
  readonly signal?: AbortSignal;
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
  for (const folder of [given.model, given.adapter ?? given.model]) await settleOutput(folder);
  const { allowUnusedLayers } = given;
  await using model = await openModel(given.model, { allowUnusedLayers });
  for (const notice of model.notices) host.onNotice?.(notice);
  const adapter = await adapterOf(given, model);
  const options = await withRecordedText(given);
  const source = textSourceOf(options, model);
  const tokenizer = await loadTokenizer(options.model, source);
  const prompt = encodePrompt({ text: options.prompt, system: options.system }, tokenizer);
  assertReadable(prompt, model);
  const { maxPositions } = model.layout.text;
  const task = textTask([prompt], { ...options, maxPositions, batch: 1 });
  const longest = Math.max(longestAnswered(task), await recordedLongestRow(options.adapter));
  const { profile } = host.target;
  const { temperature, topP, seed } = options;
  const sampling = { temperature, topP, seed };
  const answering = { model, adapter, profile, sampling, longestRow: longest };
  const stream = new TextStream(tokenizer);
  const { answer, ...measured } = await answerWithin({ answering, task, options }, host, {
    stopIds: answerEndIds(tokenizer),
    onToken: (id) => show(stream.add(id), host),
  });
  show(stream.end(), host);
  const tokens = answer.ids.length;
  return {
    text: tokenizer.decode(answer.ids, { skipSpecialTokens: true }),
    ...{ promptTokens: prompt.length, tokens, finish: answer.finish, date: source.date },
    ...measured,
    tokensPerSecond: tokens / measured.seconds,
  };
}

function show(text: string, { onText }: GenerateHost): void {
  if (text !== '') onText?.(text);
}

async function adapterOf(
  { adapter, model: base }: GenerateOptions,
  { layout }: Model,
): Promise<LoraAdapter | null> {
  if (adapter === null) return null;
  return readPeftAdapter(adapter, { linearModules: adaptableModules(layout), base });
}

/** @throws PipelineError PIPELINE_INVALID_OPTION */
function assertReadable({ length }: Int32Array, { layout }: Model): void {
  const { maxPositions } = layout.text;
  if (length > 0 && length < maxPositions) return;
  throw new PipelineError(
    'PIPELINE_INVALID_OPTION',
    length === 0
      ? 'option prompt: it has no token, and the tokenizer puts none before it'
      : `option prompt: ${length} tokens with what the chat template adds, the model has ${maxPositions} positions, of which an answer needs at least 1`,
  );
}

interface AnswerInputs {
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
  { answering, task, options }: AnswerInputs,
  { target, pagerObserver: observer, signal }: GenerateHost,
  { stopIds, onToken }: { stopIds: ReadonlySet<number>; onToken: (id: number) => void },
): Promise<MeasuredAnswer> {
  const { model, adapter, sampling, longestRow } = answering;
  const { layout, source } = model;
  const { hostBytes, prefetch } = options;
  const budgetBytes = options.vramBytes ?? (await singleAnswerBytes(answering, task));
  const { groupRows, besideBytes } = await planAnswers(answering, task, budgetBytes);
  const budget = new MemoryBudget(budgetBytes);
  await using device = new Device(await target.open(budgetBytes), budget);
  const all = source.layers.reduce((sum, layer) => sum + deviceBytes(layer, device), 0);
  await using pager = openPager({
    ...{ device, source, hostBytes, prefetch, observer, signal },
    deviceBytes: Math.min(all, budgetBytes - besideBytes),
  });
  using variant = adapter && DeviceAdapter.load(device, layout, adapter, { trainable: false });
  const started = performance.now();
  const answers = await answerRows(task, {
    ...{ model: { device, layout, pager, longestRow }, adapter: variant },
    ...{ sampling, stopIds, groupRows, signal, onToken: (_row: number, id: number) => onToken(id) },
  });
  const seconds = (performance.now() - started) / 1000;
  return { answer: at(answers, 0), budgetBytes, peakDeviceBytes: budget.peakBytes, seconds };
}
