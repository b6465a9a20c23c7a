import type { ChatMessage } from './chat-template.js';
import { RowError } from './errors.js';
import type { DatasetRow } from './row-schema.js';
import type { ChatTokenizer } from './tokenizer.js';

/** Tokens of a whole row and which of them are trained on, before anything is cut. */
export interface TokenMask {
  readonly ids: Int32Array;
  /** As long as `ids`, 1 for a training target. */
  readonly trained: Uint8Array;
}

/**
 * A `prompt` and `completion` are a user and an assistant turn where the model has a chat template.
 * @throws RowError
 */
export function encodeRow(row: DatasetRow, tokenizer: ChatTokenizer): TokenMask {
  if (row.kind === 'messages') return encodeConversation(row.messages, row.tools, tokenizer);
  if (!tokenizer.hasChatTemplate) return encodeText(row.prompt, row.completion, tokenizer);
  const turns = [
    { role: 'user', content: row.prompt },
    { role: 'assistant', content: row.completion },
  ];
  return encodeConversation(turns, undefined, tokenizer);
}

/** Prompt, completion and the end-of-sequence token; all but the prompt is trained on. */
function encodeText(prompt: string, completion: string, tokenizer: ChatTokenizer): TokenMask {
  const [eosTokenId] = tokenizer.eosTokenIds;
  if (eosTokenId === undefined)
    throw new RowError(
      null,
      'the model folder has neither a chat template nor an end-of-sequence token',
    );
  const text = tokenizer.encode(prompt + completion);
  const ids = new Int32Array(text.length + 1);
  ids.set(text);
  ids[text.length] = eosTokenId;
  const trained = new Uint8Array(ids.length);
  return {
    ids,
    trained: withoutFirst(trained.fill(1, sharedLength(tokenizer.encode(prompt), ids))),
  };
}

/**
 * Trained on is, for every assistant turn, the rendering through that turn minus the rendering
 * before it with the generation prompt. Where the tokens of such a rendering are not the first
 * tokens of the whole, the boundary moves back to the last token that they share.
 */
function encodeConversation(
  messages: readonly ChatMessage[],
  tools: readonly unknown[] | undefined,
  tokenizer: ChatTokenizer,
): TokenMask {
  const render = (turns: number, addGenerationPrompt: boolean): string =>
    tokenizer.renderChat(messages.slice(0, turns), { addGenerationPrompt, tools });
  const whole = render(messages.length, false);
  const ids = tokenizer.encode(whole);
  const trained = new Uint8Array(ids.length);
  messages.forEach(({ role }, turn) => {
    if (role !== 'assistant') return;
    const before = renderedBefore(whole, turn, render);
    const through =
      turn === messages.length - 1 ? whole : assertKept(render(turn + 1, false), whole, turn);
    const start = sharedLength(tokenizer.encode(before), ids);
    const end = through === whole ? ids.length : sharedLength(tokenizer.encode(through), ids);
    trained.fill(1, start, end);
  });
  return { ids, trained: withoutFirst(trained) };
}

/**
 * The rendering before a turn, with the generation prompt. The generation prompt itself may differ
 * from how the finished turn begins (an opened reasoning block, say): it is then not trained on as
 * far as the two agree. What comes before it must be as in the whole.
 */
function renderedBefore(
  whole: string,
  turn: number,
  render: (turns: number, addGenerationPrompt: boolean) => string,
): string {
  const before = render(turn, true);
  if (whole.startsWith(before) || turn === 0) return before;
  const history = assertKept(render(turn, false), whole, turn);
  if (!before.startsWith(history)) throw rewritten(turn);
  return before;
}

function assertKept(rendering: string, whole: string, turn: number): string {
  if (!whole.startsWith(rendering)) throw rewritten(turn);
  return rendering;
}

function rewritten(turn: number): RowError {
  return new RowError(
    `messages[${turn}]`,
    'the chat template renders the conversation up to here differently once later turns follow; write one row per assistant turn',
  );
}

/** Length of the longest common prefix. */
function sharedLength(prefix: Int32Array, whole: Int32Array): number {
  let length = 0;
  while (length < prefix.length && length < whole.length && prefix[length] === whole[length])
    length += 1;
  return length;
}

/** Nothing predicts the first token. */
function withoutFirst(trained: Uint8Array): Uint8Array {
  return trained.fill(0, 0, 1);
}
