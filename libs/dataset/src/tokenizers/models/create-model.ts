import { quote } from '../errors.js';
import type { JsonPart } from '../json.js';
import { createBpe } from './bpe.js';
import type { TokenModel } from './token-model.js';
import { createUnigram } from './unigram.js';
import { createWordLevel, createWordPiece } from './word-piece.js';

/** The `model` of tokenizer.json. @throws TokenizerError */
export function createModel(part: JsonPart): TokenModel {
  const type = part.get('type').value === undefined ? guessType(part) : part.get('type').text;
  switch (type) {
    case 'BPE':
      return createBpe(part);
    case 'Unigram':
      return createUnigram(part);
    case 'WordPiece':
      return createWordPiece(part);
    case 'WordLevel':
      return createWordLevel(part);
    default:
      return part.get('type').fail(`there is no model ${quote(type)}`);
  }
}

/** Old files do not name the type. */
function guessType(part: JsonPart): string {
  if (!part.get('merges').isAbsent) return 'BPE';
  if (!part.get('max_input_chars_per_word').isAbsent) return 'WordPiece';
  return part.get('vocab').isArray ? 'Unigram' : 'WordLevel';
}
