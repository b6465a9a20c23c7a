import { quote, TokenizerError } from '../errors.js';
import type { JsonObject, JsonPart } from '../json.js';
import type { BytePairClass } from './byte-pair-classes.js';
import type { ConvertedVocabulary } from './class-options.js';

/** The files of a byte-level BPE vocabulary. */
export const bytePairFiles = Object.freeze({ vocabulary: 'vocab.json', merges: 'merges.txt' });

/**
 * A vocabulary and its merges as a class of transformers reads them.
 * @throws TokenizerError
 */
export function convertBytePairs(
  { vocabulary, merges }: { readonly vocabulary: JsonObject; readonly merges: string },
  reading: BytePairClass,
  config: JsonPart,
): ConvertedVocabulary {
  return {
    definition: {
      model: {
        type: 'BPE',
        vocab: vocabulary,
        merges: readMerges(merges, vocabulary),
        ...reading.modelParts(config),
      },
      ...reading.textParts(config),
    },
    tokens: reading.tokens,
    affixes: reading.affixes(config),
  };
}

/**
 * Lines of two tokens, parted by one space; a first line `#version` and empty ones are left out.
 */
function readMerges(text: string, vocabulary: JsonObject): readonly (readonly [string, string])[] {
  const merges: (readonly [string, string])[] = [];
  text.split('\n').forEach((whole, i) => {
    const line = whole.endsWith('\r') ? whole.slice(0, -1) : whole;
    if (line !== '' && !line.startsWith('#version'))
      merges.push(readMerge(line, i + 1, vocabulary));
  });
  return merges;
}

function readMerge(
  line: string,
  number: number,
  vocabulary: JsonObject,
): readonly [string, string] {
  const refuse = (reason: string): never => {
    throw new TokenizerError(bytePairFiles.merges, `line ${number}`, reason);
  };
  const [left, right, ...more] = line.split(' ');
  if (left === undefined || right === undefined || more.length > 0)
    return refuse(`must be two tokens, is ${quote(line)}`);
  for (const token of [left, right, left + right])
    if (!Object.hasOwn(vocabulary, token))
      return refuse(`${quote(token)} is not in ${bytePairFiles.vocabulary}`);
  return [left, right];
}
