import { at } from '@emloc/checked';

import { RowError, RowLimitError } from '../errors.js';
import type { MeasuredImage } from '../images/measure-images.js';
import { withImageText, writeImages, type ConversationTemplate } from '../images/write-images.js';
import { PyDict, type PyValue } from '../jinja/index.js';
import type { Conversation, DatasetRow } from '../rows/dataset-row.js';
import { isAssistant } from '../rows/messages.js';
import { plainTextOf, turnsOf } from '../rows/turns-of.js';
import type { ChatTokenizer } from '../templates/chat-tokenizer.js';
import type { Encoding } from '../tokenizers/index.js';
import { encodeCompletion } from './encode-completion.js';
import type { EncodedText, MaskedText } from './encoded-text.js';
import { expandImages } from './expand-images.js';
import { withoutLineEnd } from './line-ends.js';
import { rangesOfTurns } from './many-turns.js';
import { RenderedConversation, RowClock } from './rendered-conversation.js';
import { assertToolsShown, isCallLost } from './shown-tools.js';
import { joinRanges, type TextRange } from './text-range.js';
import { maskOf } from './token-mask.js';
import { isRange, TurnBorders, type TurnRange } from './turn-ranges.js';

/**
 * Tokens of a row and what of them is trained on. Where the template writes earlier turns otherwise
 * once later ones follow, each turn that is learned becomes a text of its own, as the model will
 * see it in use.
 * @param measured the row's images
 * @returns one text, or several
 * @throws RowError
 */
export function encodeRow(
  row: DatasetRow,
  tokenizer: ChatTokenizer,
  measured: readonly MeasuredImage[] = [],
): readonly EncodedText[] {
  const { images } = tokenizer;
  return maskRow(row, tokenizer).map((text) =>
    images ? expandImages(text, images, measured) : { ...text, images: [] },
  );
}

function maskRow(row: DatasetRow, tokenizer: ChatTokenizer): readonly MaskedText[] {
  const { content } = row;
  const template = tokenizer.templateFor(row);
  assertToolsUsable(row, template !== null);
  if (content.kind === 'text')
    return [encodeCompletion({ prompt: '', completion: content.text }, tokenizer)];
  if (content.kind !== 'conversation' && !template)
    return [encodeCompletion(plainTextOf(content), tokenizer)];
  const turns = content.kind === 'conversation' ? content : turnsOf(content);
  if (!template)
    throw new RowError(
      turns.fieldOf(0).replace(/\[0\]$/, ''),
      'needs a chat template, and the model folder has none',
    );
  if (turns.imageTurns.size === 0)
    return new ConversationEncoder(row, turns, { template, tokenizer }).encode();
  const style = tokenizer.imageStyle(template);
  const written = { ...turns, messages: writeImages(turns, style) };
  const model = { template: withImageText(template, style), tokenizer };
  return new ConversationEncoder(row, written, model).encode();
}

/** @throws RowError where tools are given and no template could show them */
function assertToolsUsable({ tools, content }: DatasetRow, hasTemplate: boolean): void {
  if (tools === null || tools.length === 0) return;
  if (content.kind === 'text')
    throw new RowError('tools', 'cannot be used: a text is trained on as it is');
  if (!hasTemplate)
    throw new RowError('tools', 'need a chat template, and the model folder has none');
}

class ConversationEncoder {
  readonly #learned: readonly number[];
  readonly #clock = new RowClock();

  constructor(
    private readonly row: DatasetRow,
    private readonly conversation: Conversation,
    private readonly model: {
      readonly template: ConversationTemplate;
      readonly tokenizer: ChatTokenizer;
    },
  ) {
    this.#learned = conversation.messages.flatMap((turn, index) =>
      isAssistant(turn) && conversation.isTrained[index] === true ? [index] : [],
    );
  }

  encode(): readonly MaskedText[] {
    const whole = this.#render(this.conversation.messages);
    assertToolsShown(this.row.tools, whole.text);
    const encoding = this.model.tokenizer.encode(whole.text);
    const finish = (ranges: readonly TextRange[]): readonly MaskedText[] => [
      this.#textOf(whole, encoding, ranges, this.#learned),
    ];
    if (this.model.template.hasGenerationMarks) return finish(this.#marked(whole));
    const borders = new TurnBorders(whole, () => encoding.starts);
    const ranges = rangesOfTurns(whole, borders, this.#learned);
    if (ranges.includes('rewritten')) return this.#learned.map((turn) => this.#partOf(turn));
    return finish(ranges.map((range, index) => this.#assertFound(range, at(this.#learned, index))));
  }

  /** The conversation up to a turn as a text of its own, of which only that turn is learned. */
  #partOf(turn: number): MaskedText {
    const part = this.#render(this.conversation.messages.slice(0, turn + 1));
    const encoding = this.model.tokenizer.encode(part.text);
    const borders = new TurnBorders(part, () => encoding.starts);
    const range = borders.rangeOf(turn);
    const found = range === 'rewritten' ? borders.rangeByLoop(turn) : range;
    return this.#textOf(part, encoding, [this.#assertFound(found, turn)], [turn]);
  }

  #render(messages: readonly PyDict[]): RenderedConversation {
    try {
      return new RenderedConversation(this.model.template, messages, this.row, this.#clock);
    } catch (error) {
      const isPart = messages.length < this.conversation.messages.length;
      if (!(error instanceof RowError) || error instanceof RowLimitError || !isPart) throw error;
      throw new RowError(
        this.conversation.fieldOf(messages.length - 1),
        `cannot be seen alone with the turns before it, and later turns change those: ${error.reason}`,
        error.detail,
      );
    }
  }

  /** What the template's own marks hold, less those of turns that are not learned. */
  #marked(whole: RenderedConversation): readonly TextRange[] {
    const isAllLearned = whole.messages.every(
      (turn, index) => !isAssistant(turn) || this.#learned.includes(index),
    );
    if (isAllLearned) return whole.generations;
    const learned = new Set(this.#learned);
    return whole.generations.filter(({ start }) => learned.has(this.#turnAt(whole, start)));
  }

  /** The message whose text the template was writing at a place of the whole. */
  #turnAt(whole: RenderedConversation, place: number): number {
    let found = -1;
    for (const index of whole.messages.keys()) {
      const offset = whole.offsetOf(index);
      if (offset !== undefined && offset <= place) found = index;
    }
    if (found < 0)
      throw new RowError(
        this.conversation.fieldOf(0),
        "cannot be told apart from other turns in what the chat template marks as the model's: it has no loop over the messages",
      );
    return found;
  }

  #assertFound(range: TurnRange, turn: number): TextRange {
    if (isRange(range)) return range;
    const { reason, detail } =
      range === 'rewritten' ? { reason: 'it is written otherwise', detail: undefined } : range;
    throw new RowError(
      this.conversation.fieldOf(turn),
      `cannot be told apart from what stands around it, with the conversation up to here rendered alone: ${reason}`,
      detail,
    );
  }

  #textOf(
    rendered: RenderedConversation,
    encoding: Encoding,
    ranges: readonly TextRange[],
    turns: readonly number[],
  ): MaskedText {
    const joined = joinRanges(this.#learnedOf(ranges, rendered.text, encoding));
    return {
      ...maskOf(encoding, joined),
      text: rendered.text,
      ranges: joined,
      isTextLost: turns.some((turn) => isLost(rendered.messages[turn], rendered.text)),
      imageCount: this.#imagesWithin(rendered.messages.length),
    };
  }

  /** Models that take images do not learn the line end behind an end of turn. */
  #learnedOf(ranges: readonly TextRange[], text: string, encoding: Encoding): readonly TextRange[] {
    const { tokenizer } = this.model;
    if (!tokenizer.images) return ranges;
    const isSpecial = (id: number): boolean => tokenizer.isSpecial(id);
    return ranges.map((range) => withoutLineEnd(range, text, encoding, isSpecial));
  }

  #imagesWithin(messages: number): number {
    return [...this.conversation.imageTurns]
      .filter(([turn]) => turn < messages)
      .flatMap(([, segments]) => segments)
      .filter(({ kind }) => kind === 'image').length;
  }
}

const textFields = ['content', 'reasoning_content', 'reasoning', 'thinking'];

/**
 * Whether a text that the assistant wrote is not in the rendering, white space around it apart, or
 * a tool that it called.
 */
function isLost(turn: PyDict | undefined, text: string): boolean {
  const isTextLost = textFields
    .flatMap((field) => textsIn(turn?.get(field)))
    .some((written) => !text.includes(written.trim()));
  return isTextLost || (turn !== undefined && isCallLost(turn, text));
}

function textsIn(value: PyValue | undefined): string[] {
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return value.flatMap(textsIn);
  return value instanceof PyDict ? textsIn(value.get('text')) : [];
}
