import { at } from '@emloc/checked';
import {
  answerEndIds,
  encodeConversation,
  encodeText,
  type AskedConversation,
  type EncodedPrompt,
} from '@emloc/dataset';
import { Device, MemoryBudget } from '@emloc/device';
import { DeviceAdapter, type GeneratedAnswer, type Sampling } from '@emloc/finetune';
import { textLimits } from '@emloc/models';
import { allDeviceBytes, openPager, type Pager } from '@emloc/weight-pager';

import { PipelineError } from '../errors.js';
import { plannedTiles, rowsWith, type JobImages } from '../job/images.js';
import { assertOptionsOf } from '../options/modality.js';
import type { ChatOptions } from '../options/resolve.js';
import { answerRows } from './answer-rows.js';
import {
  answersBringing,
  answerTask,
  longestAnswered,
  promptRow,
  type AnswerTask,
} from './answer-task.js';
import { AnswerText } from './answer-text.js';
import { planConversation, takesImages } from './plan-conversation.js';
import { seeImages, type SeenImages } from './seen-images.js';
import { openTextModel, type GenerateHost, type TextModel } from './text-model.js';

/** Tokens of a conversation with its answer where nothing is said, if the model has so many. */
const usualContextTokens = 4096;

/** How one answer is made. */
export interface AnswerSettings {
  /** Where the context has room for fewer, it is as many as it has. */
  readonly maxNewTokens: number;
  readonly sampling: Sampling;
  /** Texts that end an answer, and are no part of it; none of them empty. */
  readonly stops: readonly string[];
}

export interface AnswerHost {
  /** Parts of the text as they are made; together they are the text. */
  readonly onText: (text: string) => void;
  /** Ends the answer: it is rejected with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** An answer of a model that stays opened. */
export interface GeneratedText {
  readonly text: string;
  readonly promptTokens: number;
  /** Those of a stop text included. */
  readonly tokens: number;
  /** Whether the model or a stop text ended it, or the most tokens that it could have. */
  readonly finish: GeneratedAnswer['finish'];
  readonly seconds: number;
}

/**
 * Opens a model for answers one after another, within one budget: its weights stay on the device as
 * far as they fit beside the longest conversation, and it is closed when `use` is over.
 * @throws PipelineError PIPELINE_INVALID_OPTION, PIPELINE_DOES_NOT_FIT; DatasetError; those of
 * models, adapters and devices
 */
export async function withTextGenerator<T>(
  options: ChatOptions,
  host: Omit<GenerateHost, 'onText'>,
  use: (generator: TextGenerator) => Promise<T>,
): Promise<T> {
  assertOptionsOf('chat', options, 'text');
  await using opened = await openTextModel(options, host);
  const { target, pagerObserver: observer, signal } = host;
  const contextTokens = contextOf(options, opened);
  const { vramBytes, hostBytes, prefetch } = options;
  const { profile } = target;
  const { budgetBytes, besideBytes } = await planConversation({
    ...{ opened, profile, contextTokens, vramBytes },
  });
  const budget = new MemoryBudget(budgetBytes);
  await using device = new Device(await target.open(budgetBytes), budget);
  const { layout, source } = opened.model;
  await using pager = openPager({
    ...{ device, source, hostBytes, prefetch, observer, signal },
    deviceBytes: Math.min(allDeviceBytes(source, device), budgetBytes - besideBytes),
  });
  const { adapter } = opened;
  using variant = adapter && DeviceAdapter.load(device, layout, adapter, { trainable: false });
  const inside = { opened, device, pager, adapter: variant, contextTokens, hostBytes };
  return await use(new TextGenerator(inside, host));
}

interface Inside {
  readonly opened: TextModel;
  readonly device: Device;
  readonly pager: Pager;
  readonly adapter: DeviceAdapter | null;
  readonly contextTokens: number;
  readonly hostBytes: number;
}

/** A model that is opened: answers are made one at a time. */
export class TextGenerator {
  readonly #stopIds: ReadonlySet<number>;
  #isBusy = false;

  constructor(
    private readonly inside: Inside,
    private readonly host: Pick<GenerateHost, 'openImages'>,
  ) {
    this.#stopIds = answerEndIds(inside.opened.tokenizer);
  }

  /** Tokens that prompt and answer have together at most. */
  get contextTokens(): number {
    return this.inside.contextTokens;
  }

  get budgetBytes(): number {
    return this.inside.device.budget.totalBytes;
  }

  get peakDeviceBytes(): number {
    return this.inside.device.budget.peakBytes;
  }

  /** What templates take for today, as `YYYY-MM-DD`. */
  get date(): string {
    return this.inside.opened.source.date;
  }

  /** Whether conversations can be had at all. */
  get hasTemplate(): boolean {
    return this.inside.opened.tokenizer.templates.length > 0;
  }

  /** Whether conversations may show images. */
  get takesImages(): boolean {
    return takesImages(this.inside.opened);
  }

  /** @throws DatasetError DATASET_INVALID_ROW */
  encodeConversation(asked: AskedConversation, signal?: AbortSignal): Promise<EncodedPrompt> {
    const { tokenizer, source } = this.inside.opened;
    const images = this.takesImages ? source.images : null;
    return encodeConversation(asked, tokenizer, images, signal);
  }

  /** A text that the model goes on with as it is, whatever its template. */
  encodeText(text: string): Promise<EncodedPrompt> {
    return encodeText(text, this.inside.opened.tokenizer);
  }

  /**
   * Answers a prompt. The keys and values of it are made anew each time.
   * @throws PipelineError PIPELINE_CONTEXT_EXCEEDED for a prompt that leaves no room for an answer;
   * FinetuneError FINETUNE_NON_FINITE; the signal's reason; those of images and devices
   */
  async answer(
    prompt: EncodedPrompt,
    settings: AnswerSettings,
    { onText, signal }: AnswerHost,
  ): Promise<GeneratedText> {
    if (this.#isBusy) throw new Error('another answer is being made');
    this.assertReadable(prompt);
    this.#isBusy = true;
    try {
      const started = performance.now();
      const text = new AnswerText(this.inside.opened.tokenizer, settings.stops, onText);
      const { ids, finish } = await this.#generate(prompt, settings, { text, signal });
      text.end();
      return {
        ...{ text: text.text, promptTokens: prompt.ids.length, tokens: ids.length },
        finish: text.isStopped ? 'stop' : finish,
        seconds: (performance.now() - started) / 1000,
      };
    } finally {
      this.#isBusy = false;
    }
  }

  async #generate(
    prompt: EncodedPrompt,
    { maxNewTokens, sampling }: AnswerSettings,
    { text, signal }: { readonly text: AnswerText; readonly signal?: AbortSignal | undefined },
  ): Promise<GeneratedAnswer> {
    const { opened, device, pager, adapter, contextTokens } = this.inside;
    const { model, tables, recordedRow } = opened;
    const rows = [promptRow(prompt)];
    const images = opened.imagesOf(rows);
    const limits = { maxNewTokens, maxPositions: contextTokens, batch: 1 };
    const asked = answerTask(rowsWith(images, tables)(rows), limits);
    await using seen = await this.#see(images, signal);
    const task = images ? this.#bringing(asked, images, seen) : asked;
    const longestRow = Math.max(longestAnswered(task), recordedRow);
    const answers = await answerRows(task, {
      ...{ model: { device, layout: model.layout, pager, longestRow }, adapter, sampling },
      ...{ stopIds: this.#stopIds, groupRows: 1, onToken: (_row, id) => text.add(id) },
      ...(signal && { signal }),
    });
    return at(answers, 0);
  }

  async #see(images: JobImages | null, signal?: AbortSignal): Promise<SeenImages | null> {
    if (!images || images.set.tiles === 0) return null;
    const { opened, device, hostBytes } = this.inside;
    const { openImages } = this.host;
    return seeImages({ whole: opened.whole, images }, { device, hostBytes, openImages, signal });
  }

  #bringing(task: AnswerTask, images: JobImages, seen: SeenImages | null): AnswerTask {
    const { computeDType } = this.inside.device.profile;
    return answersBringing(task, seen?.tiles ?? plannedTiles(images, computeDType));
  }

  /**
   * Checks that a prompt leaves room for an answer.
   * @throws PipelineError PIPELINE_CONTEXT_EXCEEDED
   */
  assertReadable({ ids: { length } }: EncodedPrompt): void {
    const { contextTokens } = this;
    if (length > 0 && length < contextTokens) return;
    throw new PipelineError(
      'PIPELINE_CONTEXT_EXCEEDED',
      length === 0
        ? 'the prompt has no token, and the tokenizer puts none before it'
        : `the prompt has ${length} tokens with what the chat template adds, the context ${contextTokens}, of which an answer needs at least 1`,
    );
  }
}

function contextOf({ context }: ChatOptions, { whole }: TextModel): number {
  return context ?? Math.min(textLimits(whole.layout).maxPositions, usualContextTokens);
}
