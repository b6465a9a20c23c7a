import { join } from 'node:path';
import { Tokenizer } from '@huggingface/tokenizers';

import {
  compileChatTemplate,
  type ChatMessage,
  type ChatTemplate,
  type RenderOptions,
} from './chat-template.js';
import { DatasetError, RowError } from './errors.js';
import { isJsonObject, readJsonObject, readText, type JsonObject } from './model-files.js';

/** Text to tokens and back, and conversations to text, as the model was trained on them. */
export interface ChatTokenizer {
  readonly hasChatTemplate: boolean;
  /**
   * Tokens that end the model's answer, the tokenizer's own first. Empty where the folder names
   * none.
   */
  readonly eosTokenIds: readonly number[];
  /**
   * Tokens of a text, special tokens in it recognised, none added.
   * @throws RowError when a part of it has no token
   */
  encode(text: string): Int32Array;
  /** The exact text of tokens, special tokens included unless told otherwise. */
  decode(ids: ArrayLike<number>, options?: { readonly skipSpecialTokens?: boolean }): string;
  /** @throws RowError when there is no chat template or it refuses the conversation */
  renderChat(messages: readonly ChatMessage[], options: RenderOptions): string;
}

/**
 * The tokenizer of a model folder: `tokenizer.json`, special tokens from `tokenizer_config.json`,
 * `special_tokens_map.json`, `generation_config.json` or `config.json` (the first that names one),
 * and the chat template from `chat_template.jinja` or `tokenizer_config.json`.
 * @throws DatasetError DATASET_TOKENIZER_INVALID, DATASET_TEMPLATE_INVALID
 */
export async function loadTokenizer(modelFolder: string): Promise<ChatTokenizer> {
  const definition = await readJsonObject(modelFolder, 'tokenizer.json');
  if (!definition)
    throw new DatasetError(
      'DATASET_TOKENIZER_INVALID',
      `${join(modelFolder, 'tokenizer.json')}: file not found`,
    );
  const config = (await readJsonObject(modelFolder, 'tokenizer_config.json')) ?? {};
  const tokenizer = createTokenizer(definition, config, modelFolder);
  const nameSources = [
    config,
    (await readJsonObject(modelFolder, 'special_tokens_map.json')) ?? {},
  ];
  const idSources = [
    (await readJsonObject(modelFolder, 'generation_config.json')) ?? {},
    (await readJsonObject(modelFolder, 'config.json')) ?? {},
  ];
  const idsOf = (token: string): number[] =>
    specialTokenIds(token, tokenizer, nameSources, idSources);
  const eosTokenIds = idsOf('eos_token');
  const specialTokens: Record<string, string> = {};
  for (const token of ['bos_token', 'eos_token', 'unk_token', 'pad_token']) {
    const text = tokenizer.id_to_token(idsOf(token)[0] ?? -1);
    if (text !== undefined) specialTokens[token] = text;
  }
  const template = await findChatTemplate(modelFolder, config);
  return new HuggingFaceTokenizer(
    tokenizer,
    eosTokenIds,
    template && compileChatTemplate(template.source, specialTokens, template.origin),
  );
}

class HuggingFaceTokenizer implements ChatTokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #template: ChatTemplate | null;

  constructor(
    tokenizer: Tokenizer,
    readonly eosTokenIds: readonly number[],
    template: ChatTemplate | null,
  ) {
    this.#tokenizer = tokenizer;
    this.#template = template;
  }

  get hasChatTemplate(): boolean {
    return this.#template !== null;
  }

  encode(text: string): Int32Array {
    if (text === '') return new Int32Array(0);
    const { ids } = this.#tokenizer.encode(text, { add_special_tokens: false });
    if (!ids.every((id) => Number.isInteger(id) && id >= 0))
      throw new RowError(null, 'the tokenizer has no token for a part of the text');
    return Int32Array.from(ids);
  }

  decode(ids: ArrayLike<number>, { skipSpecialTokens = false } = {}): string {
    if (ids.length === 0) return '';
    return this.#tokenizer.decode(Array.from(ids), {
      skip_special_tokens: skipSpecialTokens,
      clean_up_tokenization_spaces: false,
    });
  }

  renderChat(messages: readonly ChatMessage[], options: RenderOptions): string {
    if (!this.#template) throw new RowError(null, 'the model folder has no chat template');
    return this.#template.render(messages, options);
  }
}

function createTokenizer(definition: JsonObject, config: JsonObject, folder: string): Tokenizer {
  try {
    return new Tokenizer(definition, config);
  } catch (cause) {
    throw new DatasetError(
      'DATASET_TOKENIZER_INVALID',
      `${join(folder, 'tokenizer.json')}: not a tokenizer that can be used`,
      { cause },
    );
  }
}

/**
 * Ids of a special token: the one that is named first, then those that the id sources list, without
 * repetition.
 */
function specialTokenIds(
  token: string,
  tokenizer: Tokenizer,
  nameSources: readonly JsonObject[],
  idSources: readonly JsonObject[],
): number[] {
  const named = nameSources.map((source) => tokenText(source[token])).find((text) => text !== null);
  const namedId = named === undefined || named === null ? undefined : tokenizer.token_to_id(named);
  const listed = idSources
    .map((source) => [source[`${token}_id`]].flat().filter((id) => typeof id === 'number'))
    .find((ids) => ids.length > 0);
  return [...new Set([...(namedId === undefined ? [] : [namedId]), ...(listed ?? [])])];
}

/** A special token is written as text or as `{ "content": text }`. */
function tokenText(value: unknown): string | null {
  const text = isJsonObject(value) ? value.content : value;
  return typeof text === 'string' ? text : null;
}

async function findChatTemplate(
  folder: string,
  config: JsonObject,
): Promise<{ readonly source: string; readonly origin: string } | null> {
  const source = await readText(folder, 'chat_template.jinja');
  if (source !== null) return { source, origin: join(folder, 'chat_template.jinja') };
  const origin = join(folder, 'tokenizer_config.json');
  const template = config.chat_template;
  if (template === undefined || template === null) return null;
  if (typeof template === 'string') return { source: template, origin };
  const named = Array.isArray(template)
    ? template.find((entry) => isJsonObject(entry) && entry.name === 'default')
    : undefined;
  if (isJsonObject(named) && typeof named.template === 'string')
    return { source: named.template, origin };
  throw new DatasetError(
    'DATASET_TEMPLATE_INVALID',
    `${origin}: chat_template is neither text nor a list with one named "default"`,
  );
}
