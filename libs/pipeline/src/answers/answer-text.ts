import { TextStream, type ChatTokenizer } from '@emloc/dataset';

/**
 * The text of an answer as its tokens come, which ends before the first of the stop texts: that is
 * no part of it, and nothing that may be the beginning of one is shown before it is known to be
 * none.
 */
export class AnswerText {
  readonly #stream: TextStream;
  #held = '';
  #isStopped = false;
  #shown = '';

  /** @param stops none of them empty */
  constructor(
    tokenizer: Pick<ChatTokenizer, 'decode'>,
    private readonly stops: readonly string[],
    private readonly onText: (part: string) => void,
  ) {
    this.#stream = new TextStream(tokenizer);
  }

  /** What was shown. */
  get text(): string {
    return this.#shown;
  }

  /** Whether a stop text has come. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** @returns whether a stop text has come: the answer is over */
  add(id: number): boolean {
    this.#take(this.#stream.add(id));
    return this.#isStopped;
  }

  /** Shows what is left when no token follows. */
  end(): void {
    this.#take(this.#stream.end());
    this.#show(this.#held);
    this.#held = '';
  }

  #take(part: string): void {
    if (this.#isStopped || part === '') return;
    const text = this.#held + part;
    const end = firstOf(this.stops, text);
    this.#isStopped = end !== null;
    const shown = end ?? text.length - heldLength(this.stops, text);
    this.#held = this.#isStopped ? '' : text.slice(shown);
    this.#show(text.slice(0, shown));
  }

  #show(part: string): void {
    if (part === '') return;
    this.#shown += part;
    this.onText(part);
  }
}

/** Where the first of some texts stands in a text; null: none does. */
function firstOf(stops: readonly string[], text: string): number | null {
  const places = stops.map((stop) => text.indexOf(stop)).filter((place) => place >= 0);
  return places.length > 0 ? Math.min(...places) : null;
}

/** Length of the longest ending of a text with which one of the stop texts begins. */
function heldLength(stops: readonly string[], text: string): number {
  const longest = Math.max(0, ...stops.map(({ length }) => length - 1));
  for (let length = Math.min(longest, text.length); length > 0; length -= 1) {
    const ending = text.slice(-length);
    if (stops.some((stop) => stop.startsWith(ending))) return length;
  }
  return 0;
}
