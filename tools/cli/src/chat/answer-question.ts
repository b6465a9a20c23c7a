import type { GeneratedText, TextGenerator } from '@emloc/pipeline';

import type { Conversation } from './conversation.js';

/** How questions are answered. */
export interface ChatSettings {
  readonly maxNewTokens: number;
  readonly temperature: number;
  readonly topP: number;
  /** Of the next answer. */
  nextSeed(): number;
}

export interface QuestionHost {
  readonly onText: (part: string) => void;
  /** Told how many of the oldest questions were forgotten, with their answers. */
  readonly onForgotten: (count: number) => void;
  /** Ends the whole chat. */
  readonly signal: AbortSignal;
  /** Ends this answer only. */
  readonly interrupted: AbortSignal;
}

/** An answer as the chat tells of it. */
export interface ChatAnswer extends Pick<GeneratedText, 'text' | 'seconds'> {
  readonly promptTokens: number;
  /** Null where it was interrupted. */
  readonly tokens: number | null;
  readonly finish: GeneratedText['finish'] | 'interrupted';
}

/**
 * Answers a question within a conversation, and remembers both: also what there is of an answer
 * that was interrupted. Where the context has no room for the conversation and the answer, the
 * oldest questions are forgotten.
 * @throws DatasetError DATASET_INVALID_ROW; PipelineError PIPELINE_CONTEXT_EXCEEDED
 */
export async function answerQuestion(
  generator: TextGenerator,
  { conversation, question }: { readonly conversation: Conversation; readonly question: string },
  settings: ChatSettings,
  host: QuestionHost,
): Promise<ChatAnswer> {
  const { maxNewTokens, temperature, topP, nextSeed } = settings;
  const prompt = await fittingPrompt(generator, { conversation, question, maxNewTokens }, host);
  const sampling = { temperature, topP, seed: nextSeed() };
  const parts: string[] = [];
  const onText = (part: string): void => {
    parts.push(part);
    host.onText(part);
  };
  const signal = AbortSignal.any([host.signal, host.interrupted]);
  const started = performance.now();
  const promptTokens = prompt.ids.length;
  try {
    const answer = await generator.answer(
      prompt,
      { maxNewTokens, sampling, stops: [] },
      { onText, signal },
    );
    conversation.add({ question, answer: answer.text });
    return answer;
  } catch (error) {
    host.signal.throwIfAborted();
    if (!host.interrupted.aborted) throw error;
    const text = parts.join('');
    if (text !== '') conversation.add({ question, answer: text });
    const seconds = (performance.now() - started) / 1000;
    return { text, promptTokens, tokens: null, finish: 'interrupted', seconds };
  }
}

/** The conversation as the model reads it, as much of it as leaves room for an answer. */
async function fittingPrompt(
  generator: TextGenerator,
  {
    conversation,
    question,
    maxNewTokens,
  }: {
    readonly conversation: Conversation;
    readonly question: string;
    readonly maxNewTokens: number;
  },
  { onForgotten, signal }: Pick<QuestionHost, 'onForgotten' | 'signal'>,
): ReturnType<TextGenerator['encodeConversation']> {
  const { contextTokens } = generator;
  const room = Math.min(maxNewTokens, Math.floor(contextTokens / 2));
  let forgotten = 0;
  let prompt = await generator.encodeConversation(conversation.asking(question), signal);
  while (prompt.ids.length + room > contextTokens && conversation.length > 0) {
    conversation.forgetOldest();
    forgotten += 1;
    prompt = await generator.encodeConversation(conversation.asking(question), signal);
  }
  if (forgotten > 0) onForgotten(forgotten);
  return prompt;
}
