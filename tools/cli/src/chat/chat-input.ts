/** What a user types: a question, or a command. */
export type ChatInput =
  | { readonly kind: 'question'; readonly text: string }
  | { readonly kind: 'reset' }
  | { readonly kind: 'help' }
  | { readonly kind: 'exit' }
  /** A word with a slash that is no command. */
  | { readonly kind: 'unknown'; readonly word: string };

/** Encloses a question of several lines, each on a line of its own. */
const fence = '"""';

export const chatHelp = [
  '/reset   forget the conversation',
  '/exit    end, as Ctrl-D does',
  '/help    show this',
  `${fence}      before and after a question of several lines, on lines of their own`,
  'Ctrl-C   interrupt the answer; where there is none, end',
].join('\n');

/** Makes questions and commands of lines. */
export class ChatLines {
  #open: string[] | null = null;

  /** Whether a question of several lines has begun. */
  get isOpen(): boolean {
    return this.#open !== null;
  }

  /** @returns null where a line asks nothing yet */
  add(line: string): ChatInput | null {
    if (line.trim() === fence) return this.#turn();
    if (this.#open) {
      this.#open.push(line);
      return null;
    }
    return inputOf(line);
  }

  /** What was begun when no line follows. */
  end(): ChatInput | null {
    return this.#open ? this.#turn() : null;
  }

  #turn(): ChatInput | null {
    const lines = this.#open;
    this.#open = lines ? null : [];
    const text = (lines ?? []).join('\n');
    return text.trim() === '' ? null : { kind: 'question', text };
  }
}

function inputOf(line: string): ChatInput | null {
  const text = line.trim();
  if (text === '') return null;
  switch (text) {
    case '/reset':
      return { kind: 'reset' };
    case '/help':
      return { kind: 'help' };
    case '/exit':
      return { kind: 'exit' };
    default:
      return /^\/[a-z]+$/.test(text)
        ? { kind: 'unknown', word: text }
        : { kind: 'question', text: line };
  }
}
