import type { PyValue } from '../jinja/index.js';
import { isJsonObject, type JsonObject } from './model-files.js';

/** Special tokens that every tokenizer may name. */
const tokenNames = [
  'bos_token',
  'eos_token',
  'unk_token',
  'sep_token',
  'pad_token',
  'cls_token',
  'mask_token',
];

/** Special tokens by name, as text. */
export type SpecialTokens = ReadonlyMap<string, string>;

/**
 * The special tokens that `tokenizer_config.json` names, or `special_tokens_map.json` where that
 * says nothing of them; null is no token. Tokens of the model's own (`extra_special_tokens` by
 * name) are among them.
 */
export function specialTokensOf(tokenizerConfig: JsonObject, tokensMap: JsonObject): SpecialTokens {
  const named = new Map<string, string>();
  for (const name of tokenNames) {
    const value = name in tokenizerConfig ? tokenizerConfig[name] : tokensMap[name];
    const text = tokenText(value);
    if (text !== null) named.set(name, text);
  }
  const extra = tokenizerConfig.extra_special_tokens;
  for (const [name, value] of isJsonObject(extra) ? Object.entries(extra) : []) {
    const text = tokenText(value);
    if (text !== null) named.set(name, text);
  }
  return named;
}

/** What a chat template sees of them: text by name, and the list of the additional ones. */
export function templateVariables(
  tokens: SpecialTokens,
  tokenizerConfig: JsonObject,
  tokensMap: JsonObject,
): Readonly<Record<string, PyValue>> {
  const additional =
    tokenizerConfig.additional_special_tokens ?? tokensMap.additional_special_tokens;
  const texts = Array.isArray(additional)
    ? additional.map(tokenText).filter((text) => text !== null)
    : [];
  return {
    ...Object.fromEntries(tokens),
    ...(texts.length > 0 ? { additional_special_tokens: texts } : {}),
  };
}

/** A special token is written as text or as `{ "content": text }`. */
function tokenText(value: unknown): string | null {
  const text = isJsonObject(value) ? value.content : value;
  return typeof text === 'string' ? text : null;
}
