import { PyDict } from '../jinja/index.js';
import type { Conversation, RowContent } from './dataset-row.js';

/** Prompt and completion as turns of user and assistant. */
export function turnsOf({
  prompt,
  completion,
}: Extract<RowContent, { kind: 'completion' }>): Conversation {
  return {
    messages: [message('user', prompt), message('assistant', completion)],
    isTrained: [false, true],
    fieldOf: (index) => (index === 0 ? 'prompt' : 'completion'),
    imageTurns: new Map(),
  };
}

function message(role: string, content: string): PyDict {
  return PyDict.fromEntries([
    ['role', role],
    ['content', content],
  ]);
}
