export { TokenizerError } from './errors.js';
export type { ConvertedVocabulary } from './files/class-options.js';
export { bytePairFiles, convertBytePairs } from './files/convert-byte-pairs.js';
export { convertDefinition, type RereadClass } from './files/convert-definition.js';
export { convertPieces } from './files/convert-pieces.js';
export { assertListedIds, listedTokens, type ListedTokens } from './files/listed-tokens.js';
export { saveAdvice, tokenizerClassOf, vocabularyFiles } from './files/tokenizer-class.js';
export { JsonPart } from './json.js';
export {
  createTokenizer,
  type Encoding,
  type Tokenizer,
  type TokenizerFiles,
} from './tokenizer.js';
