import { resolve } from 'node:path';

import type { EncodedRow } from '../encoded-row.js';
import { DatasetError, RowError } from '../errors.js';
import type { ImageTextOptions } from '../images/image-text-options.js';
import { ImageMeasurer } from '../images/measure-images.js';
import { withImageText, writeImages } from '../images/write-images.js';
import { PyDict } from '../jinja/index.js';
import type { DatasetRow } from '../rows/dataset-row.js';
import { parseRow } from '../rows/row.js';
import type { ChatTokenizer } from '../templates/chat-tokenizer.js';
import { encodeRow } from './encode-row.js';
import { expandImages } from './expand-images.js';

/** What a model is asked. */
export interface Prompt {
  /** Where it has no `<image>`, its images stand before it, each on a line of its own. */
  readonly text: string;
  /** What it is told before; null: nothing. */
  readonly system: string | null;
  /** Paths, `file:` URLs, data URLs, or URLs where those are fetched. */
  readonly images?: readonly string[];
}

/** A prompt as the model reads it. */
export type EncodedPrompt = Pick<EncodedRow, 'ids'> & Required<Pick<EncodedRow, 'images'>>;

const plainRow = { tools: null, documents: null, templateArguments: null };

/**
 * The tokens after which a model answers: the conversation with the template's generation prompt,
 * or without a template the text itself, after what the tokenizer puts before a text.
 * @param options how images become tokens; null: the model takes text alone
 * @throws DatasetError DATASET_INVALID_ROW where the template refuses the conversation, where there
 * is none for `system` or images, and for images that cannot be used
 */
export function encodePrompt(
  prompt: Prompt,
  tokenizer: ChatTokenizer,
  options: ImageTextOptions | null = null,
  signal?: AbortSignal,
): Promise<EncodedPrompt> {
  return refusedAs('the prompt', async () => {
    if ((prompt.images ?? []).length === 0) return { ids: encode(prompt, tokenizer), images: [] };
    if (!options || !tokenizer.images)
      throw new RowError('images', 'cannot be used: this model takes text alone');
    const row = parseRow(rowOf(prompt), { takesImages: true });
    return await encodeAsked(row, tokenizer, { options, signal });
  });
}

/**
 * The tokens of a text that a model goes on with as it is, after what the tokenizer puts before a
 * text, whatever its chat template.
 * @throws DatasetError DATASET_INVALID_ROW where it cannot be tokenised
 */
export function encodeText(text: string, tokenizer: ChatTokenizer): Promise<EncodedPrompt> {
  return refusedAs('the prompt', () =>
    Promise.resolve({ ids: plainIds(text, tokenizer), images: [] }),
  );
}

/** What is said so far, as a row of a file has it. */
export interface AskedConversation {
  /** Each with `role` and `content`; images as `image_url` parts with data URLs. */
  readonly messages: readonly unknown[];
  /** Variables for the template, beside those of the tokenizer; null: none. */
  readonly templateArguments: Readonly<Record<string, unknown>> | null;
}

/**
 * The tokens after which a model answers to a conversation: its messages as the chat template
 * writes them, with the generation prompt.
 * @param options how images become tokens; null: the model takes text alone
 * @throws DatasetError DATASET_INVALID_ROW, whose problems name the field, where messages have not
 * the form of a row's, the template refuses them or there is none, and for images that cannot be
 * used or are files
 */
export function encodeConversation(
  { messages, templateArguments }: AskedConversation,
  tokenizer: ChatTokenizer,
  options: ImageTextOptions | null = null,
  signal?: AbortSignal,
): Promise<EncodedPrompt> {
  return refusedAs('the conversation', async () => {
    if (messages.length === 0) throw new RowError('messages', 'is empty');
    const asked = { messages: [...messages, notYetSaid], chat_template_kwargs: templateArguments };
    const takesImages = options !== null && tokenizer.images !== null;
    const row = parseRow(JSON.stringify(asked), { takesImages });
    for (const { source, field } of row.images)
      if (source.kind === 'path') throw new RowError(field, 'must be a data URL, not a file');
    return await encodeAsked(row, tokenizer, { options, signal });
  });
}

/** Stands for what the model will say: without it there would be nothing to learn. */
const notYetSaid = Object.freeze({ role: 'assistant', content: '-' });

/** Tells what is wrong with what comes from no file. @throws DatasetError DATASET_INVALID_ROW */
async function refusedAs<T>(name: string, encodeAll: () => Promise<T>): Promise<T> {
  try {
    return await encodeAll();
  } catch (error) {
    if (!(error instanceof RowError)) throw error;
    const problems = error.problemsAt({ line: 1 });
    const { field, reason, detail } = problems.at(0) ?? error;
    const message = `${name}: ${field === null ? '' : `${field} `}${reason}`;
    throw new DatasetError('DATASET_INVALID_ROW', message, {
      ...{ cause: error, problems },
      messageForOwner: detail === undefined ? message : `${message}: ${detail}`,
    });
  }
}

function encode({ text, system }: Prompt, tokenizer: ChatTokenizer): Int32Array {
  const template = tokenizer.templateFor(plainRow);
  if (!template) {
    if (system !== null)
      throw new RowError('system', 'needs a chat template, and the model folder has none');
    return plainIds(text, tokenizer);
  }
  const messages = [...(system === null ? [] : [message('system', system)]), message('user', text)];
  const { text: rendered } = template.render(messages, plainRow, { addGenerationPrompt: true });
  return Int32Array.from(tokenizer.encode(rendered).ids);
}

function plainIds(text: string, tokenizer: ChatTokenizer): Int32Array {
  const { ids } = tokenizer.encode(text);
  const { prefixIds } = tokenizer;
  const isThere = prefixIds.every((id, index) => ids[index] === id);
  return Int32Array.from([...(isThere ? [] : prefixIds), ...ids]);
}

/** A conversation without its last message, which stands for the answer. */
async function encodeAsked(
  row: DatasetRow,
  tokenizer: ChatTokenizer,
  { options, signal }: { options: ImageTextOptions | null; signal?: AbortSignal },
): Promise<EncodedPrompt> {
  const template = tokenizer.templateFor(row);
  if (!template || row.content.kind !== 'conversation')
    throw new RowError(
      row.images.length > 0 ? 'images' : 'messages',
      'need a chat template, and the model folder has none',
    );
  if (!options || !tokenizer.images || row.images.length === 0) {
    const asked = row.content.messages.slice(0, -1);
    const { text } = template.render(asked, row, { addGenerationPrompt: true });
    return { ids: Int32Array.from(tokenizer.encode(text).ids), images: [] };
  }
  const root = resolve(options.imageRoot ?? '.');
  const measured = await new ImageMeasurer(options, signal).measure({
    ...{ references: row.images, place: 'prompt', maxTiles: options.maxTiles },
    folder: { root, within: options.imageRoot === null ? null : root },
  });
  const style = tokenizer.imageStyle(template);
  const asked = writeImages(row.content, style).slice(0, -1);
  const { text } = withImageText(template, style).render(asked, row, { addGenerationPrompt: true });
  const ids = Int32Array.from(tokenizer.encode(text).ids);
  const masked = { ids, trained: new Uint8Array(ids.length), text, ranges: [], isTextLost: false };
  return expandImages({ ...masked, imageCount: measured.length }, tokenizer.images, measured);
}

/** The row that the prompt would be in a file, with an answer. */
function rowOf({ text, system, images = [] }: Prompt): string {
  const content = text.includes('<image>') ? text : `${'<image>\n'.repeat(images.length)}${text}`;
  const messages = [
    ...(system === null ? [] : [{ role: 'system', content: system }]),
    { role: 'user', content },
    notYetSaid,
  ];
  return JSON.stringify({ messages, images });
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
    return encodeRow({ ...plainRow, content, images: [], unusedColumns: [] }, tokenizer).flatMap(
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
