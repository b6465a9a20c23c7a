export { TokenizerError } from './errors.js';
export {
  createTokenizer,
  type Encoding,
  type Tokenizer,
  type TokenizerFiles,
} from './tokenizer.js';
