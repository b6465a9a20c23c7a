import { isTokenValue, readConfiguredToken, specialToken, type AddedToken } from './added-token.js';
import { idReason, isId, type JsonPart } from './json.js';

/** The files beside tokenizer.json that may name tokens; each an object, empty where absent. */
export interface TokenFiles {
  readonly config: JsonPart;
  readonly specialTokensMap: JsonPart;
  readonly addedTokens: JsonPart;
}

const specialNames = ['bos', 'eos', 'unk', 'sep', 'pad', 'cls', 'mask'].map(
  (name) => `${name}_token`,
);

/**
 * Tokens to add to those of tokenizer.json, in order: those of `added_tokens_decoder` by id, or
 * where it is absent those of added_tokens.json; then what is named as a special token and is not
 * among the added ones.
 * @throws TokenizerError
 */
export function configuredTokens(
  files: TokenFiles,
  fromDefinition: readonly AddedToken[],
): readonly AddedToken[] {
  const { config } = files;
  const decoder = config.get('added_tokens_decoder');
  const sources = decoder.isAbsent ? [config, files.specialTokensMap] : [config];
  const named = namedTokens(sources);
  const listed = decoder.isAbsent
    ? legacyTokens(files.addedTokens, named, fromDefinition)
    : readDecoder(decoder);
  const byContent = new Map(listed.map((token) => [token.content, token]));
  const present = new Set([...fromDefinition, ...listed].map(({ content }) => content));
  const added: AddedToken[] = [];
  for (const token of named.all) {
    if (present.has(token.content)) continue;
    present.add(token.content);
    added.push(byContent.get(token.content) ?? token);
  }
  return [...listed, ...added].map((token) =>
    named.attributes.has(token.content) ? { ...token, special: true } : token,
  );
}

function readDecoder(part: JsonPart): AddedToken[] {
  return part.entries
    .map(([key, token]) => {
      const id = /^[0-9]+$/.test(key) ? Number(key) : key;
      if (!isId(id)) token.fail(idReason(id));
      return [Number(id), readConfiguredToken(token, false)] as const;
    })
    .sort(([a], [b]) => a - b)
    .map(([, token]) => token);
}

/** added_tokens.json by id, then tokenizer.json itself. */
function legacyTokens(
  part: JsonPart,
  named: NamedTokens,
  fromDefinition: readonly AddedToken[],
): AddedToken[] {
  const own = new Map(fromDefinition.map((token) => [token.content, token]));
  const special = new Set(named.all.map(({ content }) => content));
  return part.entries
    .map(
      ([content, id]) =>
        [id.id, own.get(content) ?? specialToken(content, special.has(content))] as const,
    )
    .sort(([a], [b]) => a - b)
    .map(([, token]) => token);
}

interface NamedTokens {
  readonly all: readonly AddedToken[];
  /** Contents of bos_token, eos_token and the like. */
  readonly attributes: ReadonlySet<string>;
}

/** Later sources go before earlier ones. */
function namedTokens(sources: readonly JsonPart[]): NamedTokens {
  const attributes = new Map<string, AddedToken>();
  const extra: AddedToken[] = [];
  for (const source of sources) {
    for (const [key, value] of source.entries)
      if (specialNames.includes(key) && isTokenValue(value.value))
        attributes.set(key, readConfiguredToken(value, true));
    for (const [key, value] of source.entries)
      if (!specialNames.includes(key) && key.endsWith('_token') && typeof value.value === 'string')
        attributes.set(key, readConfiguredToken(value, true));
    extra.push(...extraTokens(source, attributes));
  }
  const named = [...attributes.values()];
  return { all: [...named, ...extra], attributes: new Set(named.map(({ content }) => content)) };
}

/** `extra_special_tokens`, else `additional_special_tokens`: a list, or names with tokens. */
function extraTokens(source: JsonPart, attributes: Map<string, AddedToken>): AddedToken[] {
  const extra = source.get('extra_special_tokens');
  const isEmpty = extra.isAbsent || (extra.isArray && extra.items.length === 0);
  const part = isEmpty ? source.get('additional_special_tokens') : extra;
  if (part.isAbsent) return [];
  if (part.isArray) return part.items.map((item) => readConfiguredToken(item, true));
  for (const [key, value] of part.entries) attributes.set(key, readConfiguredToken(value, true));
  return [];
}
