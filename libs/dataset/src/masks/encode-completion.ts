import { RowError } from '../errors.js';
import type { PlainText } from '../rows/turns-of.js';
import type { ChatTokenizer } from '../templates/chat-tokenizer.js';
import type { MaskedText } from './encoded-text.js';
import { maskOf } from './token-mask.js';

/**
 * A text without a chat template: what the tokenizer puts before a text, prompt and completion,
 * what it puts after, and the end-of-sequence token; none of these twice. All but the prompt and
 * what stands before it is trained on.
 * @throws RowError
 */
export function encodeCompletion(
  { prompt, completion }: PlainText,
  tokenizer: ChatTokenizer,
): MaskedText {
  const text = prompt + completion;
  const range = { start: prompt.length, end: text.length };
  const encoding = tokenizer.encode(text);
  const before = startsWith(encoding.ids, tokenizer.prefixIds) ? [] : tokenizer.prefixIds;
  const after = endIds(encoding.ids, tokenizer);
  const ids = Int32Array.from([...before, ...encoding.ids, ...after]);
  const { trained } = maskOf(encoding, [range]);
  // The first token of the text is predicted where another stands before it.
  if (before.length > 0 && prompt === '' && trained.length > 0) trained[0] = 1;
  const flags = new Uint8Array(ids.length);
  flags.set(trained, before.length);
  flags.fill(1, Math.max(1, ids.length - after.length));
  return { ids, trained: flags, text, ranges: [range], isTextLost: false, imageCount: 0 };
}

function endIds(ids: Int32Array, { suffixIds, eosTokenIds }: ChatTokenizer): readonly number[] {
  const [eosId] = eosTokenIds;
  const end = [...suffixIds, ...(eosId === undefined || suffixIds.includes(eosId) ? [] : [eosId])];
  if (end.length === 0)
    throw new RowError(null, 'has no end: the model folder names no end-of-sequence token');
  return endsWith(ids, end) ? [] : end;
}

function startsWith(ids: Int32Array, beginning: readonly number[]): boolean {
  return beginning.every((id, index) => ids[index] === id);
}

function endsWith(ids: Int32Array, ending: readonly number[]): boolean {
  return ending.every((id, index) => ids[ids.length - ending.length + index] === id);
}
