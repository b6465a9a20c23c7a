import type { ChatTokenizer } from './chat-tokenizer.js';

/** What a decoder writes for bytes that make no character. */
const replacement = '\ufffd';

/**
 * The text of tokens as they come, special ones left out: never half a character, and all parts
 * together are the text of all tokens.
 */
export class TextStream {
  readonly #ids: number[] = [];
  /** From here on tokens before `#shown` are decoded again: words depend on what is before. */
  #context = 0;
  #shown = 0;

  constructor(private readonly tokenizer: Pick<ChatTokenizer, 'decode'>) {}

  /** The text that a token adds; empty while its characters are not complete. */
  add(id: number): string {
    this.#ids.push(id);
    const text = this.#added();
    if (text === '' || text.endsWith(replacement)) return '';
    this.#advance();
    return text;
  }

  /** What is left when no token follows. */
  end(): string {
    const text = this.#added();
    this.#advance();
    return text;
  }

  #added(): string {
    const before = this.#decode(this.#context, this.#shown);
    return this.#decode(this.#context, this.#ids.length).slice(before.length);
  }

  #advance(): void {
    this.#context = this.#shown;
    this.#shown = this.#ids.length;
  }

  #decode(start: number, end: number): string {
    return this.tokenizer.decode(this.#ids.slice(start, end), { skipSpecialTokens: true });
  }
}
