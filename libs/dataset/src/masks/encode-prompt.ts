import { DatasetError, RowError } from '../errors.js';
import { PyDict } from '../jinja/index.js';
import type { ChatTokenizer } from '../templates/chat-tokenizer.js';
import { encodeRow } from './encode-row.js';

/** What a model is asked. */
export interface Prompt {
  readonly text: string;
  /** What it is told before; null: nothing. */
  readonly system: string | null;
}

const plainRow = { tools: null, documents: null, templateArguments: null };

/**
 * The tokens after which a model answers: the conversation with the template's generation prompt,
 * or without a template the text itself, after what the tokenizer puts before a text.
 * @throws DatasetError DATASET_INVALID_ROW where the template refuses the conversation, or where
 * there is none for `system`
 */
export function encodePrompt(prompt: Prompt, tokenizer: ChatTokenizer): Int32Array {
  try {
    return encode(prompt, tokenizer);
  } catch (error) {
    if (!(error instanceof RowError)) throw error;
    const { field, reason, detail } = error;
    const message = `the prompt: ${field === null ? '' : `${field} `}${reason}`;
    throw new DatasetError('DATASET_INVALID_ROW', message, {
      cause: error,
      messageForOwner: detail === undefined ? message : `${message}: ${detail}`,
    });
  }
}

function encode({ text, system }: Prompt, tokenizer: ChatTokenizer): Int32Array {
  const template = tokenizer.templateFor(plainRow);
  if (!template) {
    if (system !== null)
      throw new RowError('system', 'needs a chat template, and the model folder has none');
    const { ids } = tokenizer.encode(text);
    const { prefixIds } = tokenizer;
    const isThere = prefixIds.every((id, index) => ids[index] === id);
    return Int32Array.from([...(isThere ? [] : prefixIds), ...ids]);
  }
  const messages = [...(system === null ? [] : [message('system', system)]), message('user', text)];
  const { text: rendered } = template.render(messages, plainRow, { addGenerationPrompt: true });
  return Int32Array.from(tokenizer.encode(rendered).ids);
}

/**
 * Tokens that end an answer: those that the folder names, and the special token that the template
 * writes after the model's turn.
 */
export function answerEndIds(tokenizer: ChatTokenizer): ReadonlySet<number> {
  return new Set([...tokenizer.eosTokenIds, ...turnEndIds(tokenizer)]);
}

/** The first special token after an answer; none where templates refuse such a conversation. */
function turnEndIds(tokenizer: ChatTokenizer): readonly number[] {
  const content = { kind: 'completion', prompt: 'a', completion: 'b' } as const;
  try {
    return encodeRow({ ...plainRow, content, unusedColumns: [] }, tokenizer).flatMap(
      ({ ids, trained }) => {
        const learned = [...ids].filter((_, index) => trained[index] === 1);
        const end = learned.slice(1).find((id) => isSpecial(id, tokenizer));
        return end === undefined ? [] : [end];
      },
    );
  } catch (error) {
    if (error instanceof RowError) return [];
    throw error;
  }
}

function isSpecial(id: number, tokenizer: ChatTokenizer): boolean {
  return (
    tokenizer.decode([id], { skipSpecialTokens: true }) === '' && tokenizer.decode([id]) !== ''
  );
}

function message(role: string, content: string): PyDict {
  return PyDict.fromEntries([
    ['role', role],
    ['content', content],
  ]);
}
