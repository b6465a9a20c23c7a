import { join } from 'node:path';

import { DatasetError } from '../errors.js';
import {
  assertListedIds,
  bytePairFiles,
  convertBytePairs,
  convertDefinition,
  convertPieces,
  createTokenizer,
  JsonPart,
  listedTokens,
  saveAdvice,
  tokenizerClassOf,
  TokenizerError,
  vocabularyFiles,
  type ConvertedVocabulary,
  type ListedTokens,
  type RereadClass,
  type Tokenizer,
} from '../tokenizers/index.js';
import { listNames, readBytes, readJsonObject, readText, type JsonObject } from './model-files.js';
import { specialTokensOf, type SpecialTokens } from './special-tokens.js';

/** The files beside a vocabulary, parsed; `{}` where there is none. */
export interface TokenFiles {
  /** tokenizer_config.json, special_tokens_map.json, added_tokens.json and config.json. */
  readonly config: JsonObject;
  readonly tokensMap: JsonObject;
  readonly addedTokens: JsonObject;
  readonly model: JsonObject;
}

/** The tokenizer of a model folder, and what its files say of special tokens. */
export interface FolderTokenizer {
  readonly tokenizer: Tokenizer;
  /** The file with its vocabulary. */
  readonly source: string;
  readonly specialTokens: SpecialTokens;
  /** What is put before a text, and after it. */
  readonly prefixIds: readonly number[];
  readonly suffixIds: readonly number[];
}

/**
 * Made of `tokenizer.json`, else of the vocabulary that the folder's class of tokenizer has: a
 * SentencePiece model, or `vocab.json` and `merges.txt`.
 * @throws DatasetError DATASET_TOKENIZER_INVALID
 */
export async function loadFolderTokenizer(
  folder: string,
  files: TokenFiles,
): Promise<FolderTokenizer> {
  const source = 'tokenizer.json';
  const definition = await readJsonObject(folder, source);
  if (!definition) return convertFolder(folder, files);
  const { config, tokensMap, addedTokens } = files;
  const tokenizer = named(folder, () =>
    createTokenizer({ definition, config, addedTokens, specialTokensMap: tokensMap }),
  );
  return {
    tokenizer,
    source,
    specialTokens: specialTokensOf(config, tokensMap),
    prefixIds: tokenizer.specialPrefixIds,
    suffixIds: tokenizer.specialSuffixIds,
  };
}

/**
 * The same as a class of transformers reads it, whatever class the folder names: of
 * `tokenizer.json` only the vocabulary is taken.
 * @throws DatasetError DATASET_TOKENIZER_INVALID
 */
export async function loadTokenizerAs(
  name: RereadClass,
  folder: string,
  given: TokenFiles,
): Promise<FolderTokenizer> {
  const files = { ...given, config: { ...given.config, tokenizer_class: name } };
  const source = 'tokenizer.json';
  const definition = await readJsonObject(folder, source);
  if (!definition) return convertFolder(folder, files);
  const config = new JsonPart(files.config, 'tokenizer_config.json');
  return create(folder, files, {
    source,
    listed: named(folder, () =>
      listedTokens(config, new JsonPart(files.addedTokens, 'added_tokens.json')),
    ),
    converted: named(folder, () =>
      convertDefinition(new JsonPart(definition, source), name, config),
    ),
  });
}

async function convertFolder(folder: string, files: TokenFiles): Promise<FolderTokenizer> {
  await assertVocabularyFile(folder);
  const config = new JsonPart(files.config, 'tokenizer_config.json');
  const reading = named(folder, () =>
    tokenizerClassOf(config, new JsonPart(files.model, 'config.json')),
  );
  const addedTokens = new JsonPart(files.addedTokens, 'added_tokens.json');
  const listed = named(folder, () => listedTokens(config, addedTokens));
  if (reading.kind === 'pieces') {
    const bytes = await required(folder, reading.file, readBytes);
    const options = { config, listed: listed.byId, file: reading.file };
    return create(folder, files, {
      source: reading.file,
      listed,
      converted: named(folder, () => convertPieces(bytes, reading, options)),
    });
  }
  const vocabulary = await required(folder, bytePairFiles.vocabulary, readJsonObject);
  const merges = await required(folder, bytePairFiles.merges, readText);
  return create(folder, files, {
    source: bytePairFiles.vocabulary,
    listed,
    converted: named(folder, () => convertBytePairs({ vocabulary, merges }, reading, config)),
  });
}

/** @throws DatasetError DATASET_TOKENIZER_INVALID where the folder has nothing that can be read */
async function assertVocabularyFile(folder: string): Promise<void> {
  const names = await listNames(folder, '.');
  if (names.some((name) => vocabularyFiles.includes(name))) return;
  const other = names.find((name) => /\.tiktoken$|^tiktoken\.model$|^tekken\.json$/.test(name));
  throw invalid(
    folder,
    'tokenizer.json',
    other === undefined
      ? `file not found, nor is one of ${vocabularyFiles.join(', ')}`
      : `file not found, and ${other} alone cannot be used; ${saveAdvice}`,
  );
}

async function required<T>(
  folder: string,
  name: string,
  read: (folder: string, name: string) => Promise<T | null>,
): Promise<T> {
  const content = await read(folder, name);
  if (content === null) throw invalid(folder, name, 'file not found, nor is tokenizer.json');
  return content;
}

interface Conversion {
  readonly source: string;
  readonly converted: ConvertedVocabulary;
  readonly listed: ListedTokens;
}

/** The class's own special tokens stand in where the folder names none. */
function create(
  folder: string,
  { config, tokensMap, addedTokens }: TokenFiles,
  { source, converted: { definition, tokens, affixes }, listed }: Conversion,
): FolderTokenizer {
  const tokenizer = named(folder, () => {
    const created = createTokenizer({
      definition,
      source,
      config: { ...tokens, ...config },
      addedTokens,
      specialTokensMap: tokensMap,
    });
    assertListedIds(listed, (content) => created.tokenToId(content));
    return created;
  });
  const specialTokens = specialTokensOf(config, { ...tokens, ...tokensMap });
  const idsOf = (names: readonly string[]): number[] =>
    names.flatMap((name) => tokenizer.tokenToId(specialTokens.get(name) ?? '') ?? []);
  return {
    tokenizer,
    source,
    specialTokens,
    prefixIds: idsOf(affixes.prefix),
    suffixIds: idsOf(affixes.suffix),
  };
}

/** Says in which folder the file of an error is. */
function named<T>(folder: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof TokenizerError)) throw error;
    const { file, part, reason } = error;
    throw invalid(folder, file, part === '' ? reason : `${part}: ${reason}`, error);
  }
}

function invalid(folder: string, file: string, reason: string, cause?: unknown): DatasetError {
  return new DatasetError('DATASET_TOKENIZER_INVALID', `${join(folder, file)}: ${reason}`, {
    cause,
  });
}
