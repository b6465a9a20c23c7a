export { TokenizerError } from './errors.js';
export { createTokenizer, type Encoding, type Tokenizer } from './tokenizer.js';
