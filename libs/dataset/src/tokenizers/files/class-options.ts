import { isObject, type JsonObject, type JsonPart } from '../json.js';

/** What the files beside the vocabulary say of a tokenizer. */
export interface ClassOptions {
  /** tokenizer_config.json */
  readonly config: JsonPart;
  /** Tokens that the folder gives an id, by that id. */
  readonly listed: ReadonlyMap<number, string>;
}

/** Names of special tokens with what they are where the folder does not say. */
export type TokenDefaults = Readonly<Record<string, unknown>>;

/** Special tokens around a text, by name: `bos_token`, `eos_token`. */
export interface AffixNames {
  readonly prefix: readonly string[];
  readonly suffix: readonly string[];
}

/** Those that `add_bos_token` and `add_eos_token` ask for. */
export function configuredAffixes(config: JsonPart, addsBos: boolean): AffixNames {
  return {
    prefix: config.get('add_bos_token').flagOr(addsBos) ? ['bos_token'] : [],
    suffix: config.get('add_eos_token').flagOr(false) ? ['eos_token'] : [],
  };
}

/** A special token of the config, written as text or as `{ "content": text }`, or the default. */
export function tokenOr(part: JsonPart, fallback: string): string {
  if (part.isAbsent) return fallback;
  return isObject(part.value) ? part.get('content').text : part.text;
}

/** What a class of transformers makes of the vocabulary files of a folder. */
export interface ConvertedVocabulary {
  /** As tokenizer.json would have it, without a post-processor. */
  readonly definition: JsonObject;
  readonly tokens: TokenDefaults;
  readonly affixes: AffixNames;
}
