import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { TextGenerator } from '@emloc/pipeline';

import { describeError, isCoded } from '../output/describe-error.js';
import { visible } from '../output/visible.js';
import { answerQuestion, type ChatAnswer, type ChatSettings } from './answer-question.js';
import { chatHelp, ChatLines, type ChatInput } from './chat-input.js';
import { Conversation } from './conversation.js';

export interface ChatHost {
  readonly input: Readable;
  readonly output: Writable;
  /** Whether a person types and reads: then there is a prompt, and errors end nothing. */
  readonly isTerminal: boolean;
  /** Whether answers are shown as they are made; else they are only in the report. */
  readonly isShown: boolean;
  /** Told what is no answer. */
  readonly note: (text: string) => void;
  readonly signal: AbortSignal;
}

/** A question and its answer. */
export interface ChatTurn extends ChatAnswer {
  readonly prompt: string;
}

/**
 * Answers what is typed, line by line, until the input ends, `/exit`, or Ctrl-C where nothing is
 * being answered.
 * @returns the turns that were not shown
 * @throws what ends it: without a terminal, the first question that cannot be answered
 */
export async function chat(
  generator: TextGenerator,
  { system, ...settings }: ChatSettings & { readonly system: string | null },
  host: ChatHost,
): Promise<readonly ChatTurn[]> {
  const { input, output, isTerminal, signal } = host;
  const terminal = createInterface({
    ...{ input, terminal: isTerminal, signal, historySize: isTerminal ? 1000 : 0 },
    ...(isTerminal && { output }),
    crlfDelay: Number.POSITIVE_INFINITY,
  });
  try {
    const turns = await new Chat(generator, { system, settings, host, terminal }).run();
    signal.throwIfAborted();
    return turns;
  } finally {
    terminal.close();
  }
}

interface ChatParts {
  readonly system: string | null;
  readonly settings: ChatSettings;
  readonly host: ChatHost;
  readonly terminal: Interface;
}

class Chat {
  readonly #lines = new ChatLines();
  readonly #conversation: Conversation;
  readonly #turns: ChatTurn[] = [];
  /** Of the answer that is being made; null: there is none. */
  #interruption: AbortController | null = null;
  #isOver = false;

  constructor(
    private readonly generator: TextGenerator,
    private readonly parts: ChatParts,
  ) {
    this.#conversation = new Conversation(parts.system);
  }

  async run(): Promise<readonly ChatTurn[]> {
    const { terminal } = this.parts;
    terminal.on('SIGINT', () => this.#interrupt());
    const lines = terminal[Symbol.asyncIterator]();
    this.#prompt();
    while (!this.#isOver) {
      const next = await lines.next();
      const input = next.done ? this.#lines.end() : this.#lines.add(next.value);
      if (input?.kind === 'exit' || this.#isOver) break;
      if (input) await this.#take(input);
      if (next.done) break;
      this.#prompt();
    }
    return this.#turns;
  }

  /** Ctrl-C: once for the answer, again for the chat. */
  #interrupt(): void {
    const { terminal, host } = this.parts;
    if (this.#interruption && !this.#interruption.signal.aborted) {
      this.#interruption.abort(new Error('interrupted'));
      return;
    }
    this.#isOver = true;
    host.output.write('\n');
    terminal.close();
  }

  #prompt(): void {
    const { terminal, host } = this.parts;
    if (!host.isTerminal || host.signal.aborted) return;
    terminal.setPrompt(this.#lines.isOpen ? '. ' : '> ');
    terminal.prompt();
  }

  async #take(input: Exclude<ChatInput, { kind: 'exit' }>): Promise<void> {
    const { note } = this.parts.host;
    switch (input.kind) {
      case 'question':
        return this.#ask(input.text);
      case 'reset':
        this.#conversation.forgetAll();
        return note('the conversation is forgotten');
      case 'help':
        return note(chatHelp);
      case 'unknown':
        return note(`${input.word} is no command; /help shows them`);
    }
  }

  async #ask(question: string): Promise<void> {
    try {
      await this.#answer(question);
    } catch (error) {
      const { isTerminal, note, signal } = this.parts.host;
      // Who types can ask again, or otherwise; what is piped in would go on without this turn.
      if (!isTerminal || signal.aborted || !isCoded(error)) throw error;
      note(describeError(error));
    } finally {
      this.#interruption = null;
    }
  }

  async #answer(question: string): Promise<void> {
    const { host, settings } = this.parts;
    const { isShown, note, output, signal } = host;
    const interruption = new AbortController();
    this.#interruption = interruption;
    const asked = { conversation: this.#conversation, question };
    const answer = await answerQuestion(this.generator, asked, settings, {
      ...{ signal, interrupted: interruption.signal },
      onText: (part) => {
        if (isShown) output.write(visible(part));
      },
      onForgotten: (count) =>
        note(
          `${count === 1 ? 'the oldest question is' : `the ${count} oldest questions are`} forgotten, with what was answered: the context has ${this.generator.contextTokens} tokens`,
        ),
    });
    if (!isShown) this.#turns.push({ prompt: question, ...answer });
    else output.write('\n');
    if (answer.finish === 'length')
      note(`the answer had all the ${answer.tokens} tokens that it could have`);
    if (answer.finish === 'interrupted') note('interrupted');
  }
}
