import type { Answered } from './model.js';

/** What is the same in everything that is sent of an answer. */
export interface AnswerHead {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly model: string;
}

/** How an answer is written, whole or in chunks. */
export interface AnswerFormat {
  readonly idPrefix: string;
  whole(head: AnswerHead, text: string, answered: Answered): object;
  /** Before all text; null: nothing is sent. */
  first(head: AnswerHead): object | null;
  part(head: AnswerHead, text: string): object;
  last(head: AnswerHead, finish: Answered['finish']): object;
  /** What it took, where that is asked for. */
  usage(head: AnswerHead, answered: Answered): object;
}

function usageOf({ promptTokens, tokens }: Answered): object {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: tokens,
    total_tokens: promptTokens + tokens,
  };
}

function chatChunk(head: AnswerHead, delta: object, finish: string | null): object {
  const choice = { index: 0, delta, logprobs: null, finish_reason: finish };
  return { ...head, object: 'chat.completion.chunk', choices: [choice] };
}

/** Of `/v1/chat/completions`. */
export const chatFormat: AnswerFormat = {
  idPrefix: 'chatcmpl-',
  whole: (head, content, answered) => ({
    ...{ ...head, object: 'chat.completion' },
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content, refusal: null },
        logprobs: null,
        finish_reason: answered.finish,
      },
    ],
    usage: usageOf(answered),
  }),
  first: (head) => chatChunk(head, { role: 'assistant', content: '' }, null),
  part: (head, content) => chatChunk(head, { content }, null),
  last: (head, finish) => chatChunk(head, {}, finish),
  usage: (head, answered) => ({
    ...{ ...head, object: 'chat.completion.chunk', choices: [], usage: usageOf(answered) },
  }),
};

function textChunk(head: AnswerHead, text: string, finish: string | null): object {
  const choice = { index: 0, text, logprobs: null, finish_reason: finish };
  return { ...head, object: 'text_completion', choices: [choice] };
}

/** Of `/v1/completions`. */
export const textFormat: AnswerFormat = {
  idPrefix: 'cmpl-',
  whole: (head, text, answered) => ({
    ...textChunk(head, text, answered.finish),
    usage: usageOf(answered),
  }),
  first: () => null,
  part: (head, text) => textChunk(head, text, null),
  last: (head, finish) => textChunk(head, '', finish),
  usage: (head, answered) => ({
    ...{ ...head, object: 'text_completion', choices: [], usage: usageOf(answered) },
  }),
};
