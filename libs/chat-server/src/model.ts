/** How an answer is made; null: as the model is set. */
export interface SamplingRequest {
  readonly maxTokens: number | null;
  readonly temperature: number | null;
  readonly topP: number | null;
  readonly seed: number | null;
  /** Texts that end the answer and are no part of it; none of them empty. */
  readonly stops: readonly string[];
}

/** What is asked: a conversation, or a text that is gone on with. */
export type Question =
  | {
      readonly kind: 'conversation';
      /** As the client gave them, their form checked; texts in parts as one text. */
      readonly messages: readonly Readonly<Record<string, unknown>>[];
      /** Variables for the model's template; null: none. */
      readonly templateArguments: Readonly<Record<string, unknown>> | null;
    }
  | { readonly kind: 'text'; readonly text: string };

export interface AnswerRequest {
  readonly question: Question;
  readonly sampling: SamplingRequest;
}

export interface AnswerListener {
  /** Called once, when the question is found to be one that can be answered. */
  onStart(): void;
  /** Parts of the text as they are made. */
  onText(part: string): void;
  /** Ends the answer, which is rejected then. */
  readonly signal: AbortSignal;
}

export interface Answered {
  readonly promptTokens: number;
  readonly tokens: number;
  /** Whether the model or a stop text ended it, or the most tokens that it could have. */
  readonly finish: 'stop' | 'length';
}

/** What answers; it is asked one question at a time. */
export interface ChatModel {
  /** What requests call it. */
  readonly id: string;
  /** Whether messages may show images. */
  readonly takesImages: boolean;
  /** Whether images may be fetched by http and https. */
  readonly fetchesImages: boolean;
  /** @throws (rejects) RequestRefusal for a question that cannot be answered */
  answer(request: AnswerRequest, listener: AnswerListener): Promise<Answered>;
}
