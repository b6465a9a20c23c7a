import { quote, TokenizerError } from '../errors.js';
import { isObject, type JsonPart } from '../json.js';

/** Where a token is said to have an id. */
export interface ListedTokens {
  readonly byId: ReadonlyMap<number, string>;
  readonly file: string;
}

/**
 * Tokens that `added_tokens_decoder` of tokenizer_config.json gives an id, or where it is absent
 * added_tokens.json.
 */
export function listedTokens(config: JsonPart, addedTokens: JsonPart): ListedTokens {
  const decoder = config.get('added_tokens_decoder');
  if (decoder.isAbsent)
    return {
      byId: new Map(addedTokens.entries.map(([content, part]) => [part.id, content])),
      file: addedTokens.file,
    };
  return {
    byId: new Map(
      decoder.entries.map(([id, part]) => [
        Number(id),
        isObject(part.value) ? part.get('content').text : part.text,
      ]),
    ),
    file: config.file,
  };
}

/**
 * Added tokens follow the vocabulary without a gap: one that is listed with another id would be
 * another row of the embedding than the model was trained with.
 * @throws TokenizerError
 */
export function assertListedIds(
  { byId, file }: ListedTokens,
  idOf: (content: string) => number | undefined,
): void {
  for (const [id, content] of byId) {
    const given = idOf(content);
    if (given !== id && content !== '')
      throw new TokenizerError(
        file,
        `token ${quote(content)}`,
        `is listed with the id ${id}, after the vocabulary it has ${String(given)}`,
      );
  }
}
