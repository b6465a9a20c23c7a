import type { AskedConversation } from '@emloc/dataset';

interface Exchange {
  readonly question: string;
  readonly answer: string;
}

/** What was said so far. */
export class Conversation {
  #exchanges: readonly Exchange[] = [];

  /** @param system what the model is told before; null: nothing */
  constructor(private readonly system: string | null) {}

  /** Answered questions that are remembered. */
  get length(): number {
    return this.#exchanges.length;
  }

  /** The conversation up to a question that is not answered yet. */
  asking(question: string): AskedConversation {
    const messages = [
      ...(this.system === null ? [] : [{ role: 'system', content: this.system }]),
      ...this.#exchanges.flatMap(({ question: asked, answer }) => [
        { role: 'user', content: asked },
        { role: 'assistant', content: answer },
      ]),
      { role: 'user', content: question },
    ];
    return { messages, templateArguments: null };
  }

  add(exchange: Exchange): void {
    this.#exchanges = [...this.#exchanges, exchange];
  }

  /** Forgets the oldest question and its answer; what the model was told before stays. */
  forgetOldest(): void {
    this.#exchanges = this.#exchanges.slice(1);
  }

  forgetAll(): void {
    this.#exchanges = [];
  }
}
