import type { PyDict, PyValue } from '../jinja/index.js';
import type { ImageReference } from './images/image-reference.js';

/** A piece of a message that shows images. */
export type Segment =
  | { readonly kind: 'text'; readonly text: string }
  /** `isPart`: one of a list of parts; else `<image>` in a text. */
  | { readonly kind: 'image'; readonly isPart: boolean };

/** Messages that show images, in pieces, by their place in the conversation. */
export type ImageTurns = ReadonlyMap<number, readonly Segment[]>;

/** A conversation, exactly as it stands in the file. */
export interface Conversation {
  readonly messages: readonly PyDict[];
  /** As long as `messages`: whether the model learns this turn. */
  readonly isTrained: readonly boolean[];
  /** Field of the file that a message stands in. */
  readonly fieldOf: (message: number) => string;
  /** Messages that show images, by their place in the conversation. */
  readonly imageTurns: ImageTurns;
}

export type RowContent =
  | ({ readonly kind: 'conversation' } & Conversation)
  | { readonly kind: 'completion'; readonly prompt: string; readonly completion: string }
  | {
      readonly kind: 'instruction';
      readonly instruction: string;
      /** Empty where there is none. */
      readonly input: string;
      readonly output: string;
    }
  /** Trained on as a whole. */
  | { readonly kind: 'text'; readonly text: string };

/** What is asked and what is answered, as texts. */
export type ExchangeContent = Extract<RowContent, { readonly kind: 'completion' | 'instruction' }>;

/** A row as it is written in the file. */
export interface DatasetRow {
  readonly content: RowContent;
  /** Null where the row has none. */
  readonly tools: PyValue[] | null;
  readonly documents: PyValue[] | null;
  /** `chat_template_kwargs`. */
  readonly templateArguments: PyDict | null;
  /** In the order in which the conversation shows them. */
  readonly images: readonly ImageReference[];
  /** Columns that nothing here reads. */
  readonly unusedColumns: readonly string[];
}
