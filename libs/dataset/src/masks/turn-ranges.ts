import { at } from '@emloc/checked';

import { RowError } from '../errors.js';
import { isAssistant } from '../rows/messages.js';
import { endingAt, endOfPrompt } from './prompt-end.js';
import type { RenderedConversation } from './rendered-conversation.js';
import { sharedPrefix, sharedSuffix, type TextRange } from './text-range.js';

/**
 * The range of the whole rendering that an assistant's turn is learned from: after the generation
 * prompt, through the end of the turn and the line end that follows it.
 * - `rewritten`: the template writes earlier turns differently once later ones follow
 * - an error: the template's refusal of a part that must be seen alone, where nothing else tells
 *   the border
 */
export type TurnRange = TextRange | 'rewritten' | RowError;

type Border = number | 'rewritten' | RowError;

const noLoop = new RowError(null, 'the chat template has no loop over the messages');

/** Finds the ranges of turns by rendering the conversation up to them. */
export class TurnBorders {
  readonly #whole: string;
  #lastPrompt: string | undefined;

  /** @param tokenStarts UTF-16 offsets at which the tokens of the whole begin, ascending */
  constructor(
    private readonly conversation: RenderedConversation,
    private readonly tokenStarts: () => Int32Array,
  ) {
    this.#whole = conversation.text;
  }

  rangeOf(message: number): TurnRange {
    const end = this.#end(message);
    if (typeof end !== 'number') return end;
    const start = this.#start(message, end);
    return typeof start !== 'number' ? start : { start: Math.min(start, end), end };
  }

  /** As `rangeOf` where history is taken as it stands in the whole, by the template's own loop. */
  rangeByLoop(message: number): TurnRange {
    const [start, end] = [message, message + 1].map((at) => this.conversation.offsetOf(at));
    if (start === undefined || end === undefined) return noLoop;
    return {
      start: Math.min(end, this.#afterPrompt(message, start, this.generationPrompt(), end)),
      end,
    };
  }

  /**
   * What the template ends with, to make the model answer; empty where it knows no such thing. Many
   * write it only behind a turn of somebody else.
   */
  generationPrompt(): string {
    this.#lastPrompt ??= this.#promptAtAnswer() || this.#promptAtEnd();
    return this.#lastPrompt;
  }

  #promptAtEnd(): string {
    const prompted = this.conversation.prompted(this.conversation.messages.length);
    return 'text' in prompted ? this.#promptBehind(prompted.text) : '';
  }

  /** Before the first assistant's turn that answers another. */
  #promptAtAnswer(): string {
    const { messages } = this.conversation;
    const answer = messages.findIndex((message, index) => {
      const before = index === 0 ? undefined : at(messages, index - 1);
      return before !== undefined && !isAssistant(before) && isAssistant(message);
    });
    if (answer < 0) return '';
    const [prompted, history] = [
      this.conversation.prompted(answer),
      this.conversation.through(answer),
    ];
    if (!('text' in prompted && 'text' in history)) return '';
    return prompted.text.startsWith(history.text) ? prompted.text.slice(history.text.length) : '';
  }

  /** The prompt stands where the template otherwise writes what it puts after everything. */
  #promptBehind(prompted: string): string {
    if (prompted.startsWith(this.#whole)) return prompted.slice(this.#whole.length);
    return prompted.slice(this.#tokenStart(sharedPrefix(prompted, this.#whole)));
  }

  #end(message: number): Border {
    if (message === this.conversation.messages.length - 1) return this.#whole.length;
    const end = this.#endOfPart(message + 1);
    return typeof end === 'number' ? this.#withEndOfTurn(message, end) : end;
  }

  /**
   * An end of turn that the template writes only where another message follows. Line ends alone
   * stay out, and so does what is written of that other message.
   */
  #withEndOfTurn(message: number, end: number): number {
    const next = this.conversation.offsetOf(message + 1) ?? end;
    if (this.#whole.slice(end, next).trim() === '') return end;
    const content = this.conversation.contentStart(message + 1);
    return content !== undefined && content >= next ? next : end;
  }

  /** Where the first `count` messages end in the whole. */
  #endOfPart(count: number): Border {
    const part = this.conversation.through(count);
    const offset = this.conversation.offsetOf(count);
    if ('refusal' in part) return offset ?? part.refusal;
    if (this.#whole.startsWith(part.text)) return part.text.length;
    return this.#endBeforeTail(part.text, offset) ?? 'rewritten';
  }

  /**
   * Where the part differs from the whole only in what the template puts after everything: the part
   * is a beginning of the whole and then that tail, with which the whole ends.
   */
  #endBeforeTail(part: string, offset: number | undefined): number | null {
    const least = part.length - sharedSuffix(part, this.#whole);
    const most = sharedPrefix(part, this.#whole);
    const end = offset ?? this.#tokenStart(most);
    return least <= end && end <= most ? end : null;
  }

  #start(message: number, end: number): Border {
    const prompted = this.conversation.prompted(message);
    if ('text' in prompted && this.#whole.startsWith(prompted.text))
      return this.#afterPrompted(message, prompted.text, end);
    const history = this.#historyOf(message);
    if (typeof history !== 'number') return history;
    const prompt =
      'text' in prompted && prompted.text.startsWith(this.#whole.slice(0, history))
        ? prompted.text.slice(history)
        : this.generationPrompt();
    return this.#afterPrompt(message, history, prompt, end);
  }

  /**
   * Where the messages before one end in the whole. Where the template writes those otherwise once
   * the message follows, that is where its loop comes to the message: what is learned has them so.
   */
  #historyOf(message: number): Border {
    const end = message === 0 ? 0 : this.#endOfPart(message);
    return end === 'rewritten' ? (this.conversation.offsetOf(message) ?? end) : end;
  }

  /** Some templates put a generation prompt, or all of it, only behind some turns. */
  #afterPrompted(message: number, prompted: string, end: number): number {
    const start = prompted.length;
    if (!this.conversation.template.knowsGenerationPrompt)
      return this.#afterHeader(message, start, end);
    const prompt = this.generationPrompt();
    if (prompt !== '' && prompted.endsWith(prompt)) return start;
    const history = this.conversation.through(message);
    const isPrompted = !('text' in history) || history.text !== prompted;
    return isPrompted
      ? start + endingAt(this.#whole.slice(start, end), prompt)
      : this.#afterHeader(message, start, end);
  }

  /**
   * Without a generation prompt there, what is written before the turn's own text is its header:
   * through the prompt that the template writes elsewhere, else up to that text, unless tool calls
   * may stand before it.
   */
  #afterHeader(message: number, start: number, end: number): number {
    const content = this.conversation.contentStart(message);
    const header = this.#whole.slice(start, content ?? end);
    const promptEnd = endOfPrompt(header, this.generationPrompt());
    if (promptEnd !== null) return start + promptEnd;
    if (content === undefined || header.trim() === '') return start;
    const callsTools = Boolean(at(this.conversation.messages, message).get('tool_calls'));
    return callsTools && this.conversation.template.knowsGenerationPrompt ? start : content;
  }

  /**
   * Behind the last generation prompt, or as much of it as there is, between the end of the history
   * and the turn's own text; without any, at that text.
   */
  #afterPrompt(message: number, history: number, prompt: string, end: number): number {
    const content = this.conversation.contentStart(message);
    const before = this.#whole.slice(history, content ?? end);
    const promptEnd = endOfPrompt(before, prompt);
    if (promptEnd !== null) return history + promptEnd;
    return content ?? history;
  }

  /** The start of the token in which a place of the whole lies. */
  #tokenStart(place: number): number {
    const starts = this.tokenStarts();
    let [low, high] = [0, starts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (at(starts, middle) <= place) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 0 : at(starts, low - 1);
  }
}

export function isRange(range: TurnRange): range is TextRange {
  return typeof range !== 'string' && !(range instanceof RowError);
}
