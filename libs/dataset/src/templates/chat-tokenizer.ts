import { join } from 'node:path';
import { at } from '@emloc/checked';

import { DatasetError, RowError } from '../errors.js';
import { imageStyleOf, type ImageStyle } from '../images/image-style.js';
import type { ImageTextOptions } from '../images/image-text-options.js';
import { imageTokensOf, type ImageTokens } from '../images/image-tokens.js';
import { JsonSyntaxError, parseJson, PyDict, type CalendarDate } from '../jinja/index.js';
import { isLfsPointer, lfsReason } from '../lfs-pointer.js';
import { reservedTemplateNames } from '../reserved-names.js';
import { TokenizerError, type Encoding, type Tokenizer } from '../tokenizers/index.js';
import { parseCalendarDate } from './calendar-date.js';
import { ChatTemplate, type RowVariables } from './chat-template.js';
import { findChatTemplates, type TemplateSource } from './find-templates.js';
import { loadFolderTokenizer, type FolderTokenizer } from './folder-tokenizer.js';
import { endOfTurn, namedTemplate, type NamedTemplateOptions } from './internvl-template.js';
import { readJsonObject, type JsonObject } from './model-files.js';
import { templateVariables, type SpecialTokens } from './special-tokens.js';

/** The largest that any tokenizer has is far below. */
const mostTokenId = 2 ** 31 - 1;

/** What a user says of how conversations become text. */
export interface TextOptions {
  /** Of the job, as `YYYY-MM-DD`. */
  readonly date: string;
  /** Source of a template that stands for those of the model folder; null: the folder's. */
  readonly chatTemplate: string | null;
  /** A JSON object with variables for the template; null: none. */
  readonly templateArguments: string | null;
  /** Rows of the model's embedding; a token beyond it is refused. */
  readonly vocabularySize?: number;
  /** Absent or null: a model that takes text alone. */
  readonly images?: ImageTextOptions | null;
}

/** Text to tokens and back, and conversations to text, as the model was trained on them. */
export interface ChatTokenizer {
  /** Templates of the model by name; none: a base model. */
  readonly templates: readonly ChatTemplate[];
  readonly specialTokens: SpecialTokens;
  /**
   * Tokens that end the model's answer, the tokenizer's own first. Empty where the folder names
   * none.
   */
  readonly eosTokenIds: readonly number[];
  /** What the tokenizer puts before a text that is no conversation, and after it. */
  readonly prefixIds: readonly number[];
  readonly suffixIds: readonly number[];
  /** Tokens of a text, special tokens in it recognised, none added. @throws RowError */
  encode(text: string): Encoding;
  /** The exact text of tokens, special tokens included unless told otherwise. */
  decode(ids: ArrayLike<number>, options?: { readonly skipSpecialTokens?: boolean }): string;
  /** Null: the model takes text alone. */
  readonly images: ImageTokens | null;
  /** How a template takes the images of rows. @throws DatasetError DATASET_TEMPLATE_INVALID */
  imageStyle(template: ChatTemplate): ImageStyle;
  /** Whether a token is not text: an end of turn, say. */
  isSpecial(id: number): boolean;
  /** The template for a row: that for tools where it has some and the model has such a one. */
  templateFor(row: Pick<RowVariables, 'tools'>): ChatTemplate | null;
}

/**
 * The tokenizer of a model folder: `tokenizer.json` or another vocabulary, tokens that stand only
 * in `tokenizer_config.json` or `added_tokens.json`, special tokens by name, chat templates.
 * @throws DatasetError DATASET_TOKENIZER_INVALID, DATASET_TEMPLATE_INVALID, DATASET_INVALID_OPTION
 */
export async function loadTokenizer(folder: string, options: TextOptions): Promise<ChatTokenizer> {
  const read = async (name: string): Promise<JsonObject> =>
    (await readJsonObject(folder, name)) ?? {};
  const [config, tokensMap, addedTokens, generation, model] = (await Promise.all(
    [
      'tokenizer_config.json',
      'special_tokens_map.json',
      'added_tokens.json',
      'generation_config.json',
      'config.json',
    ].map(read),
  )) as [JsonObject, JsonObject, JsonObject, JsonObject, JsonObject];
  const loaded = await loadFolderTokenizer(folder, { config, tokensMap, addedTokens, model });
  const { tokenizer, specialTokens } = loaded;
  assertInVocabulary(folder, loaded, options.vocabularySize);
  const settings = {
    variables: templateVariables(specialTokens, config, tokensMap),
    templateArguments: argumentsOf(options.templateArguments),
    date: dateOf(options.date),
  };
  const start = tokenizer.decode(loaded.prefixIds);
  const sources = await sourcesOf(folder, config, { ...options, start });
  const listed = [
    listedEosIds(folder, 'generation_config.json', generation),
    listedEosIds(folder, 'config.json', model),
  ];
  return new TemplateTokenizer(loaded, {
    eosTokenIds: eosIds(
      tokenizer,
      [specialTokens.get('eos_token'), isNamed(options) ? endOfTurn : undefined],
      listed,
    ),
    templates: sources.map((source) => new ChatTemplate(source, settings)),
    images: imagesOf(folder, loaded, options),
  });
}

async function sourcesOf(
  folder: string,
  config: JsonObject,
  { chatTemplate, images, start }: TextOptions & Pick<NamedTemplateOptions, 'start'>,
): Promise<readonly TemplateSource[]> {
  if (chatTemplate === null && images && images.template !== null) {
    const { template: name, systemMessage } = images;
    return [namedTemplate({ name, systemMessage, start })];
  }
  if (chatTemplate === null) return [...(await findChatTemplates(folder, config)).values()];
  const origin = 'the given chat template';
  if (isLfsPointer(chatTemplate))
    throw new DatasetError('DATASET_TEMPLATE_INVALID', `${origin} ${lfsReason}`);
  return [{ name: 'default', source: chatTemplate, origin }];
}

function imagesOf(
  folder: string,
  { tokenizer, source }: FolderTokenizer,
  { images }: TextOptions,
): ImageTokens | null {
  const idOf = (token: string): number | undefined => tokenizer.tokenToId(token);
  return images ? imageTokensOf(images, { idOf, source: join(folder, source) }) : null;
}

class TemplateTokenizer implements ChatTokenizer {
  readonly specialTokens: SpecialTokens;
  readonly eosTokenIds: readonly number[];
  readonly templates: readonly ChatTemplate[];
  readonly prefixIds: readonly number[];
  readonly suffixIds: readonly number[];
  readonly images: ImageTokens | null;
  readonly #tokenizer: Tokenizer;
  readonly #imageStyles = new Map<ChatTemplate, ImageStyle>();

  constructor(
    { tokenizer, specialTokens, prefixIds, suffixIds }: FolderTokenizer,
    { eosTokenIds, templates, images }: Pick<ChatTokenizer, 'eosTokenIds' | 'templates' | 'images'>,
  ) {
    this.images = images;
    this.#tokenizer = tokenizer;
    this.specialTokens = specialTokens;
    this.prefixIds = prefixIds;
    this.suffixIds = suffixIds;
    this.eosTokenIds = eosTokenIds;
    this.templates = templates;
  }

  encode(text: string): Encoding {
    try {
      return this.#tokenizer.encode(text);
    } catch (error) {
      if (!(error instanceof TokenizerError)) throw error;
      throw new RowError(
        null,
        `cannot be tokenised: ${error.file}: ${error.part}: ${error.reason}`,
      );
    }
  }

  decode(ids: ArrayLike<number>, options?: { readonly skipSpecialTokens?: boolean }): string {
    return this.#tokenizer.decode(ids, options);
  }

  imageStyle(template: ChatTemplate): ImageStyle {
    const known = this.#imageStyles.get(template);
    if (known) return known;
    const style = imageStyleOf(template);
    this.#imageStyles.set(template, style);
    return style;
  }

  isSpecial(id: number): boolean {
    return this.decode([id], { skipSpecialTokens: true }) === '' && this.decode([id]) !== '';
  }

  templateFor({ tools }: Pick<RowVariables, 'tools'>): ChatTemplate | null {
    const named = (name: string): ChatTemplate | undefined =>
      this.templates.find((template) => template.name === name);
    const template = (tools === null ? undefined : named('tool_use')) ?? named('default');
    if (template || this.templates.length === 0) return template ?? null;
    throw new DatasetError(
      'DATASET_TEMPLATE_INVALID',
      `${at(this.templates, 0).origin}: of its chat templates (${this.templates.map(({ name }) => name).join(', ')}) none is named "default"`,
    );
  }
}

/** @throws DatasetError DATASET_TOKENIZER_INVALID */
function assertInVocabulary(
  folder: string,
  { tokenizer, source }: FolderTokenizer,
  modelSize = Infinity,
): void {
  const highest = tokenizer.vocabularySize - 1;
  if (highest < modelSize) return;
  throw invalid(
    folder,
    source,
    `the token ${JSON.stringify(tokenizer.idToToken(highest) ?? '')} has the id ${highest}, the model's vocabulary ends at ${modelSize - 1}: tokenizer and model do not belong together`,
  );
}

/** Whether the template is one that the model's config names. */
function isNamed({ chatTemplate, images }: TextOptions): boolean {
  return chatTemplate === null && typeof images?.template === 'string';
}

/** The named tokens, then those that the first file that lists any lists, without repetition. */
function eosIds(
  tokenizer: Tokenizer,
  named: readonly (string | undefined)[],
  listed: readonly (readonly number[])[],
): number[] {
  const ids = named.flatMap((token) => tokenizer.tokenToId(token ?? '') ?? []);
  const first = listed.find((each) => each.length > 0) ?? [];
  return [...new Set([...ids, ...first])];
}

/**
 * The ids under `eos_token_id`; null is absence, -1 stands for none.
 * @throws DatasetError DATASET_TOKENIZER_INVALID
 */
function listedEosIds(folder: string, file: string, { eos_token_id: value }: JsonObject): number[] {
  const ids: unknown[] = [value ?? []].flat();
  return ids.flatMap((id) => {
    if (!Number.isInteger(id) || Number(id) < -1 || Number(id) > mostTokenId) {
      const seen = typeof id === 'number' ? String(id) : JSON.stringify(id).slice(0, 100);
      throw invalid(folder, file, `eos_token_id has ${seen}, which is no id of a token`);
    }
    return Number(id) < 0 ? [] : [Number(id)];
  });
}

/** @throws DatasetError DATASET_INVALID_OPTION */
function dateOf(text: string): CalendarDate {
  const date = parseCalendarDate(text);
  if (date) return date;
  throw new DatasetError(
    'DATASET_INVALID_OPTION',
    `date: ${JSON.stringify(text)} given, a day as YYYY-MM-DD is needed`,
  );
}

/** @throws DatasetError DATASET_INVALID_OPTION */
function argumentsOf(text: string | null): PyDict | null {
  if (text === null) return null;
  const refuse = (reason: string): DatasetError =>
    new DatasetError('DATASET_INVALID_OPTION', `template arguments: ${reason}`);
  try {
    const value = parseJson(text);
    if (!(value instanceof PyDict)) throw refuse('a JSON object is needed');
    const reserved = [...value.keys()].map(String).find((name) => reservedTemplateNames.has(name));
    if (reserved !== undefined)
      throw refuse(`${reserved} is set from each row, it cannot be given`);
    return value;
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw refuse(`not valid JSON (${error.reason})`);
    throw error;
  }
}

function invalid(folder: string, file: string, reason: string): DatasetError {
  return new DatasetError('DATASET_TOKENIZER_INVALID', `${join(folder, file)}: ${reason}`);
}
