import { join } from 'node:path';

import { DatasetError } from '../errors.js';
import { loadTokenizerAs, type FolderTokenizer } from '../templates/folder-tokenizer.js';
import { readJsonObject, type JsonObject } from '../templates/model-files.js';
import { TokenizerError, type RereadClass } from '../tokenizers/index.js';

/** Tokens of a prompt, as many as its encoder is given. */
interface PromptTokens {
  /** With the special tokens around the text, padded. */
  readonly ids: Int32Array;
  /** How many of the ids are no padding. */
  readonly tokens: number;
  /** The text had more tokens than there is room for; those at its end are left out. */
  readonly isCut: boolean;
}

/** Both tokenizers of a model that is prompted through CLIP's and T5's text encoders. */
export interface PromptTokenizers {
  /** Tokens that CLIP's encoder takes. */
  readonly clipLength: number;
  /** The most that T5's encoder should take; null: the folder does not say. */
  readonly t5Length: number | null;
  /**
   * `clipLength` ids: the start token, the text, the end token, padding. An empty text is one.
   * @throws DatasetError DATASET_TOKENIZER_INVALID where the text has no tokens that can be used
   */
  clip(text: string): Int32Array;
  /**
   * The text, `</s>`, padding.
   * @param length at least 1
   * @throws DatasetError as `clip`
   */
  t5(text: string, length: number): PromptTokens;
}

/** Folders of the tokenizers. */
export interface PromptFolders {
  readonly clip: string;
  readonly t5: string;
}

/** Rows of the encoders' embeddings; a token beyond them is refused. */
export interface EmbeddingRows {
  readonly clip?: number;
  readonly t5?: number;
}

/** Positions of published CLIP encoders. */
const usualClipLength = 77;

/** What transformers writes where there is no limit is far above. */
const mostLength = 2 ** 20;

/**
 * Read as transformers' classes CLIPTokenizer and T5Tokenizer do: from `tokenizer.json`, else from
 * `vocab.json` and `merges.txt` or `spiece.model`.
 * @throws DatasetError DATASET_TOKENIZER_INVALID
 */
export async function openPromptTokenizers(
  folders: PromptFolders,
  rows: EmbeddingRows = {},
): Promise<PromptTokenizers> {
  const [clip, t5] = await Promise.all([
    PromptTokenizer.open('CLIPTokenizer', folders.clip, rows.clip),
    PromptTokenizer.open('T5Tokenizer', folders.t5, rows.t5),
  ]);
  const clipLength = clip.longest ?? usualClipLength;
  return {
    clipLength,
    t5Length: t5.longest,
    clip: (text) => clip.encode(text, clipLength).ids,
    t5: (text, length) => t5.encode(text, length),
  };
}

interface PromptParts {
  readonly folder: string;
  readonly loaded: FolderTokenizer;
  readonly padId: number;
  readonly longest: number | null;
  readonly rows: number;
}

/** One tokenizer, with what surrounds and fills up a text. */
class PromptTokenizer {
  private constructor(private readonly parts: PromptParts) {}

  static async open(name: RereadClass, folder: string, rows = Infinity): Promise<PromptTokenizer> {
    const [config, tokensMap, addedTokens] = (await Promise.all(
      ['tokenizer_config.json', 'special_tokens_map.json', 'added_tokens.json'].map(
        async (file) => (await readJsonObject(folder, file)) ?? {},
      ),
    )) as [JsonObject, JsonObject, JsonObject];
    const files = { config, tokensMap, addedTokens, model: {} };
    const loaded = await loadTokenizerAs(name, folder, files);
    const padId = requiredId(folder, loaded, 'pad_token');
    requiredId(folder, loaded, 'eos_token');
    return new PromptTokenizer({ folder, loaded, padId, longest: longestOf(config), rows });
  }

  /** From `model_max_length`; null where it says none. */
  get longest(): number | null {
    return this.parts.longest;
  }

  encode(text: string, length: number): PromptTokens {
    const { prefixIds, suffixIds } = this.parts.loaded;
    const room = length - prefixIds.length - suffixIds.length;
    if (!Number.isInteger(length) || room < 0)
      throw new RangeError(
        `${length} tokens of a prompt, at least ${length - room} are needed around the text`,
      );
    const found = this.#textIds(text);
    const kept = [...prefixIds, ...found.subarray(0, room), ...suffixIds];
    this.#assertEmbedded(kept);
    const ids = new Int32Array(length).fill(this.parts.padId);
    ids.set(kept);
    return { ids, tokens: kept.length, isCut: found.length > room };
  }

  #textIds(text: string): Int32Array {
    try {
      return this.parts.loaded.tokenizer.encode(text).ids;
    } catch (error) {
      if (!(error instanceof TokenizerError)) throw error;
      const { file, part, reason } = error;
      throw invalid(this.parts.folder, file, `a prompt has no tokens: ${part}: ${reason}`, error);
    }
  }

  #assertEmbedded(ids: readonly number[]): void {
    const { folder, loaded, rows, padId } = this.parts;
    const highest = Math.max(padId, ...ids);
    if (highest < rows) return;
    const token = JSON.stringify(loaded.tokenizer.idToToken(highest) ?? '');
    throw invalid(
      folder,
      loaded.source,
      `the token ${token} has the id ${highest}, the encoder's vocabulary ends at ${rows - 1}`,
    );
  }
}

/** The id of a special token that the encoder cannot do without. */
function requiredId(
  folder: string,
  { specialTokens, tokenizer }: FolderTokenizer,
  name: string,
): number {
  const token = specialTokens.get(name);
  const id = tokenizer.tokenToId(token ?? '');
  if (id !== undefined) return id;
  throw invalid(
    folder,
    'tokenizer_config.json',
    token === undefined ? `there is no ${name}` : `${name}: ${JSON.stringify(token)} has no id`,
  );
}

function longestOf({ model_max_length: value }: JsonObject): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value > 1 && value <= mostLength
    ? value
    : null;
}

function invalid(folder: string, file: string, reason: string, cause?: unknown): DatasetError {
  return new DatasetError('DATASET_TOKENIZER_INVALID', `${join(folder, file)}: ${reason}`, {
    cause,
  });
}
