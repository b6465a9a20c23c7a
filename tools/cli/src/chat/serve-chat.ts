import { startChatServer, type ChatServer, type EndedRequest } from '@emloc/chat-server';
import type { TextGenerator } from '@emloc/pipeline';

import { describeError } from '../output/describe-error.js';
import type { ChatSettings } from './answer-question.js';
import type { ServeAddress } from './serve-address.js';
import { servedModel } from './served-model.js';

export interface ServeChatOptions extends ServeAddress {
  /** What requests call the model. */
  readonly id: string;
  readonly settings: ChatSettings;
  readonly fetchesImages: boolean;
}

export interface ServeChatHost {
  /** Told when the server listens. */
  readonly onListening: (server: Pick<ChatServer, 'url' | 'port'>) => void;
  /** A line for each request, nothing of what was said in it. */
  readonly note: (text: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Serves a model until the signal ends it.
 * @throws ChatServerError; an error after which no answer can be made any more
 */
export async function serveChat(
  generator: TextGenerator,
  { id, settings, fetchesImages, ...address }: ServeChatOptions,
  { onListening, note, signal }: ServeChatHost,
): Promise<void> {
  signal.throwIfAborted();
  const broken = new AbortController();
  const server = await startChatServer({
    ...{ ...address, model: servedModel(generator, { id, settings, fetchesImages }) },
    observer: {
      requestEnded: (request) => note(lineOf(request)),
      failed: (error) => {
        // What ends everything ends answers, too, in whatever they are about.
        if (signal.aborted) return;
        note(describeError(error));
        if (endsAll(error)) broken.abort(error);
      },
    },
  });
  try {
    onListening(server);
    await aborted(AbortSignal.any([signal, broken.signal]));
    broken.signal.throwIfAborted();
  } finally {
    await server.close();
  }
}

/** Whether the device or the weights cannot be used any more. */
function endsAll(error: unknown): boolean {
  const { code } = Object(error) as { readonly code?: unknown };
  return typeof code === 'string' && /^(?:PAGER_|DEVICE_NATIVE_FAILURE$)/.test(code);
}

function lineOf({ route, status, seconds, answered }: EndedRequest): string {
  const tokens = answered ? `${answered.promptTokens} + ${answered.tokens} tokens, ` : '';
  const end = status === null ? 'the client went away' : String(status);
  return `${route ?? 'unknown path'}: ${end}, ${tokens}${seconds.toFixed(1)} s`;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
