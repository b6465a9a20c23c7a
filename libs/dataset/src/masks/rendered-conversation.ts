import { RowError, RowLimitError } from '../errors.js';
import type { ConversationTemplate } from '../images/write-images.js';
import { PyDict, type PyValue } from '../jinja/index.js';
import type { RowVariables } from '../templates/chat-template.js';

/** What a template makes of the first messages of a conversation: a text, or a refusal. */
export type PartRendering = { readonly text: string } | { readonly refusal: RowError };

/** The time that a template may take for a row, with all parts of it that are looked at. */
const rowMs = 30_000;

/** Counts the time of one row down. */
export class RowClock {
  readonly #endMs = performance.now() + rowMs;

  leftMs(): number {
    return Math.max(0, this.#endMs - performance.now());
  }
}

/** Written where a message's own text stands, to see where that is; no text has these. */
const probes = ['\u{f8ff}', '\u{f8fe}'];

/**
 * A conversation as its template renders it. The whole is rendered at once, parts of it each time
 * that they are asked for: those of a long conversation would fill the memory.
 */
export class RenderedConversation {
  readonly text: string;
  /** Ranges of `text` that the template marks as the model's. */
  readonly generations: readonly { readonly start: number; readonly end: number }[];
  readonly #offsets: ReadonlyMap<PyValue, number>;

  /** @throws RowError when the template refuses the whole */
  constructor(
    readonly template: ConversationTemplate,
    readonly messages: readonly PyDict[],
    readonly row: RowVariables,
    private readonly clock: RowClock,
  ) {
    const rendering = template.render(messages, row, {
      addGenerationPrompt: false,
      timeMs: clock.leftMs(),
      trackItems: new Set<PyValue>(messages),
    });
    this.text = rendering.text;
    this.generations = rendering.generations;
    this.#offsets = rendering.itemOffsets;
  }

  /**
   * Where the template's loop over the messages came to this one; the end for what is behind the
   * last; undefined where there is no such loop.
   */
  offsetOf(message: number): number | undefined {
    const item = this.messages[message];
    return item === undefined ? this.text.length : this.#offsets.get(item);
  }

  /** The rendering of the first `count` messages. */
  through(count: number): PartRendering {
    if (count === this.messages.length) return { text: this.text };
    return this.#part(count, false);
  }

  /** The same with the generation prompt. */
  prompted(count: number): PartRendering {
    return this.#part(count, true);
  }

  /**
   * Where the whole first depends on the text of a message; undefined where it does not, or where
   * the message has none.
   */
  contentStart(message: number): number | undefined {
    const original = this.messages[message];
    const content = original?.get('content');
    if (original === undefined || content === undefined || content === null) return undefined;
    let start: number | undefined;
    for (const probe of probes) {
      const replaced = [...this.messages];
      replaced[message] = withContent(original, content, probe);
      const at = this.#firstDifference(replaced);
      if (at !== undefined) start = Math.min(start ?? at, at);
    }
    return start;
  }

  #firstDifference(messages: readonly PyDict[]): number | undefined {
    const part = attempt(() =>
      this.template.render(messages, this.row, {
        addGenerationPrompt: false,
        timeMs: this.clock.leftMs(),
      }),
    );
    if (!('text' in part) || part.text === this.text) return undefined;
    let at = 0;
    while (part.text.charCodeAt(at) === this.text.charCodeAt(at)) at += 1;
    return at;
  }

  #part(count: number, addGenerationPrompt: boolean): PartRendering {
    return attempt(() =>
      this.template.render(this.messages.slice(0, count), this.row, {
        addGenerationPrompt,
        timeMs: this.clock.leftMs(),
      }),
    );
  }
}

function attempt(render: () => { readonly text: string }): PartRendering {
  try {
    return { text: render().text };
  } catch (error) {
    if (error instanceof RowError && !(error instanceof RowLimitError)) return { refusal: error };
    throw error;
  }
}

function withContent(message: PyDict, content: PyValue, text: string): PyDict {
  const replaced = new PyDict();
  for (const [key, value] of message.entries())
    replaced.set(key, key === 'content' ? contentLike(content, text) : value);
  return replaced;
}

/** In a list of parts, the first that has text. */
function contentLike(content: PyValue, text: string): PyValue {
  if (!Array.isArray(content)) return text;
  const first = content.findIndex((part) => part instanceof PyDict && part.has('text'));
  return content.map((part, index) =>
    index === first && part instanceof PyDict
      ? PyDict.fromEntries(
          [...part.entries()].map(([key, value]) => [key, key === 'text' ? text : value]),
        )
      : part,
  );
}
