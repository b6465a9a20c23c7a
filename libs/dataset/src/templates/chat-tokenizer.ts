import { join } from 'node:path';
import { at } from '@emloc/checked';

import { DatasetError, RowError } from '../errors.js';
import { JsonSyntaxError, parseJson, PyDict, type CalendarDate } from '../jinja/index.js';
import { reservedTemplateNames } from '../reserved-names.js';
import {
  createTokenizer,
  TokenizerError,
  type Encoding,
  type Tokenizer,
} from '../tokenizers/index.js';
import { parseCalendarDate } from './calendar-date.js';
import { ChatTemplate, type RowVariables } from './chat-template.js';
import { findChatTemplates, type TemplateSource } from './find-templates.js';
import { readJsonObject, type JsonObject } from './model-files.js';
import { specialTokensOf, templateVariables, type SpecialTokens } from './special-tokens.js';

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
  /** The template for a row: that for tools where it has some and the model has such a one. */
  templateFor(row: Pick<RowVariables, 'tools'>): ChatTemplate | null;
}

/**
 * The tokenizer of a model folder: `tokenizer.json`, tokens that stand only in
 * `tokenizer_config.json` or `added_tokens.json`, special tokens by name, chat templates.
 * @throws DatasetError DATASET_TOKENIZER_INVALID, DATASET_TEMPLATE_INVALID, DATASET_INVALID_OPTION
 */
export async function loadTokenizer(folder: string, options: TextOptions): Promise<ChatTokenizer> {
  const read = async (name: string): Promise<JsonObject> =>
    (await readJsonObject(folder, name)) ?? {};
  const definition = await readJsonObject(folder, 'tokenizer.json');
  if (!definition) throw invalid(folder, 'tokenizer.json', 'file not found');
  const [config, tokensMap, addedTokens, generation, model] = (await Promise.all(
    [
      'tokenizer_config.json',
      'special_tokens_map.json',
      'added_tokens.json',
      'generation_config.json',
      'config.json',
    ].map(read),
  )) as [JsonObject, JsonObject, JsonObject, JsonObject, JsonObject];
  const tokenizer = create(folder, {
    definition,
    config,
    addedTokens,
    specialTokensMap: tokensMap,
  });
  assertInVocabulary(folder, tokenizer, options.vocabularySize);
  const specialTokens = specialTokensOf(config, tokensMap);
  const settings = {
    variables: templateVariables(specialTokens, config, tokensMap),
    templateArguments: argumentsOf(options.templateArguments),
    date: dateOf(options.date),
  };
  const sources = await sourcesOf(folder, config, options);
  return new FolderTokenizer(tokenizer, {
    specialTokens,
    eosTokenIds: eosIds(tokenizer, specialTokens.get('eos_token'), [generation, model]),
    templates: sources.map((source) => new ChatTemplate(source, settings)),
  });
}

async function sourcesOf(
  folder: string,
  config: JsonObject,
  { chatTemplate }: TextOptions,
): Promise<readonly TemplateSource[]> {
  return chatTemplate === null
    ? [...(await findChatTemplates(folder, config)).values()]
    : [{ name: 'default', source: chatTemplate, origin: 'the given chat template' }];
}

class FolderTokenizer implements ChatTokenizer {
  readonly specialTokens: SpecialTokens;
  readonly eosTokenIds: readonly number[];
  readonly templates: readonly ChatTemplate[];
  readonly #tokenizer: Tokenizer;

  constructor(
    tokenizer: Tokenizer,
    {
      specialTokens,
      eosTokenIds,
      templates,
    }: Pick<ChatTokenizer, 'specialTokens' | 'eosTokenIds' | 'templates'>,
  ) {
    this.#tokenizer = tokenizer;
    this.specialTokens = specialTokens;
    this.eosTokenIds = eosTokenIds;
    this.templates = templates;
  }

  get prefixIds(): readonly number[] {
    return this.#tokenizer.specialPrefixIds;
  }

  get suffixIds(): readonly number[] {
    return this.#tokenizer.specialSuffixIds;
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

function create(folder: string, files: Parameters<typeof createTokenizer>[0]): Tokenizer {
  try {
    return createTokenizer(files);
  } catch (error) {
    if (!(error instanceof TokenizerError)) throw error;
    throw invalid(folder, error.file, `${error.part}: ${error.reason}`, error);
  }
}

/** @throws DatasetError DATASET_TOKENIZER_INVALID */
function assertInVocabulary(folder: string, tokenizer: Tokenizer, modelSize = Infinity): void {
  const highest = tokenizer.vocabularySize - 1;
  if (highest < modelSize) return;
  throw invalid(
    folder,
    'tokenizer.json',
    `the token ${JSON.stringify(tokenizer.idToToken(highest) ?? '')} has the id ${highest}, the model's vocabulary ends at ${modelSize - 1}: tokenizer and model do not belong together`,
  );
}

/** The named token, then those that the first file that lists any lists, without repetition. */
function eosIds(
  tokenizer: Tokenizer,
  named: string | undefined,
  sources: readonly JsonObject[],
): number[] {
  const id = named === undefined ? undefined : tokenizer.tokenToId(named);
  const listed = sources
    .map(({ eos_token_id: ids }) =>
      [ids].flat().filter((each): each is number => Number.isSafeInteger(each)),
    )
    .find((ids) => ids.length > 0);
  return [...new Set([...(id === undefined ? [] : [id]), ...(listed ?? [])])];
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

function invalid(folder: string, file: string, reason: string, cause?: unknown): DatasetError {
  return new DatasetError('DATASET_TOKENIZER_INVALID', `${join(folder, file)}: ${reason}`, {
    cause,
  });
}
