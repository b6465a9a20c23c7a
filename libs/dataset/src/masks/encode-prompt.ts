import { resolve } from 'node:path';

import type { EncodedRow } from '../encoded-row.js';
import { DatasetError, RowError } from '../errors.js';
import type { ImageTextOptions } from '../images/image-text-options.js';
import { ImageMeasurer } from '../images/measure-images.js';
import { withImageText, writeImages } from '../images/write-images.js';
import { PyDict } from '../jinja/index.js';
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
export async function encodePrompt(
  prompt: Prompt,
  tokenizer: ChatTokenizer,
  options: ImageTextOptions | null = null,
  signal?: AbortSignal,
): Promise<EncodedPrompt> {
  try {
    if ((prompt.images ?? []).length === 0) return { ids: encode(prompt, tokenizer), images: [] };
    return await encodeImages(prompt, tokenizer, { options, signal });
  } catch (error) {
    if (!(error instanceof RowError)) throw error;
    const [problem] = error.problemsAt({ line: 1 });
    const { field, reason, detail } = problem ?? error;
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

async function encodeImages(
  prompt: Prompt,
  tokenizer: ChatTokenizer,
  { options, signal }: { options: ImageTextOptions | null; signal?: AbortSignal },
): Promise<EncodedPrompt> {
  if (!options || !tokenizer.images)
    throw new RowError('images', 'cannot be used: this model takes text alone');
  const row = parseRow(rowOf(prompt), { takesImages: true });
  const template = tokenizer.templateFor(row);
  if (!template || row.content.kind !== 'conversation')
    throw new RowError('images', 'need a chat template, and the model folder has none');
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
    // Stands for what the model will say: without it there would be nothing to learn.
    { role: 'assistant', content: '-' },
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
