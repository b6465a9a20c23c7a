import { idReason, isId, isObject, type JsonObject, type JsonPart } from './json.js';

/** A token beside the model's vocabulary, found in a text before anything else. */
export interface AddedToken {
  readonly content: string;
  readonly singleWord: boolean;
  /** Takes white space before it, or after it, along. */
  readonly stripLeft: boolean;
  readonly stripRight: boolean;
  /** Looked for in the normalized text. */
  readonly normalized: boolean;
  /** Left out when decoding without special tokens. */
  readonly special: boolean;
}

export function specialToken(content: string, special = true): AddedToken {
  return {
    content,
    singleWord: false,
    stripLeft: false,
    stripRight: false,
    normalized: !special,
    special,
  };
}

/**
 * As tokenizer.json writes it: every field is there, also an id, which only must be one.
 * @throws TokenizerError
 */
export function readAddedToken(part: JsonPart): AddedToken {
  if (!isId(part.get('id').value)) part.get('id').fail(idReason(part.get('id').value));
  return {
    content: part.get('content').text,
    singleWord: part.get('single_word').flag,
    stripLeft: part.get('lstrip').flag,
    stripRight: part.get('rstrip').flag,
    normalized: part.get('normalized').flag,
    special: part.get('special').flag,
  };
}

/** As tokenizer_config.json writes it: a text, or an object whose fields have defaults. */
export function readConfiguredToken(part: JsonPart, special: boolean): AddedToken {
  if (typeof part.value === 'string') return specialToken(part.value, special);
  const isSpecial = part.get('special').flagOr(special);
  return {
    content: part.get('content').text,
    singleWord: part.get('single_word').flagOr(false),
    stripLeft: part.get('lstrip').flagOr(false),
    stripRight: part.get('rstrip').flagOr(false),
    normalized: part.get('normalized').flagOr(!isSpecial),
    special: isSpecial,
  };
}

export function isTokenValue(value: unknown): value is string | JsonObject {
  return typeof value === 'string' || (isObject(value) && typeof value.content === 'string');
}
