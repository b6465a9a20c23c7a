import {
  RequestRefusal,
  type Answered,
  type AnswerRequest,
  type ChatModel,
} from '@emloc/chat-server';
import { DatasetError } from '@emloc/dataset';
import { PipelineError, type TextGenerator } from '@emloc/pipeline';

import type { ChatSettings } from './answer-question.js';

interface ServedAs {
  readonly id: string;
  /** Where a request says nothing. */
  readonly settings: ChatSettings;
  readonly fetchesImages: boolean;
}

/** A model that is opened, as the server asks it. */
export function servedModel(
  generator: TextGenerator,
  { id, settings, fetchesImages }: ServedAs,
): ChatModel {
  return {
    ...{ id, fetchesImages, takesImages: generator.takesImages },
    answer: async (
      { question, sampling: asked },
      { onStart, onText, signal },
    ): Promise<Answered> => {
      try {
        const prompt = await encoded(generator, question, signal);
        const sampling = {
          temperature: asked.temperature ?? settings.temperature,
          topP: asked.topP ?? settings.topP,
          seed: asked.seed ?? settings.nextSeed(),
        };
        const maxNewTokens = asked.maxTokens ?? settings.maxNewTokens;
        const made = { maxNewTokens, sampling, stops: asked.stops };
        generator.assertReadable(prompt);
        onStart();
        return await generator.answer(prompt, made, { onText, signal });
      } catch (error) {
        throw refusalOf(error, question) ?? error;
      }
    },
  };
}

type Question = AnswerRequest['question'];

function encoded(
  generator: TextGenerator,
  question: Question,
  signal: AbortSignal,
): ReturnType<TextGenerator['encodeText']> {
  return question.kind === 'text'
    ? generator.encodeText(question.text)
    : generator.encodeConversation(question, signal);
}

/** What the client did wrong; null: nothing. The template's words are for it: it knows its text. */
function refusalOf(error: unknown, { kind }: Question): RequestRefusal | null {
  const param = kind === 'text' ? 'prompt' : 'messages';
  if (error instanceof DatasetError && error.code === 'DATASET_INVALID_ROW')
    return new RequestRefusal(error.messageForOwner, {
      ...{ param: error.problems.at(0)?.field ?? param, code: error.code },
    });
  if (error instanceof PipelineError && error.code === 'PIPELINE_CONTEXT_EXCEEDED')
    return new RequestRefusal(error.message, { param, code: 'context_length_exceeded' });
  return null;
}
