import type { JsonObject, JsonPart } from '../json.js';
import {
  configuredAffixes,
  type AffixNames,
  type ClassOptions,
  type TokenDefaults,
} from './class-options.js';
import type { PieceModel } from './piece-model.js';
import { asModelled, condensed, marked, metaspace, unmarked } from './piece-steps.js';
import {
  asListed,
  extraIds,
  inFairseqOrder,
  withExtraIds,
  withTab,
  type MakeVocabulary,
} from './piece-vocabulary.js';

/** How a class of transformers reads a SentencePiece model. */
export interface PieceClass {
  readonly kind: 'pieces';
  /** Name of the model's file. */
  readonly file: string;
  readonly tokens: (options: ClassOptions) => TokenDefaults;
  readonly affixes: (config: JsonPart) => AffixNames;
  readonly vocabulary: MakeVocabulary;
  /** Whether a character that is no piece becomes its bytes. */
  readonly byteFallback: boolean;
  /** Whether control pieces are found in a text. */
  readonly findsControls: boolean;
  /** User-defined pieces that are special tokens, too. */
  readonly special: ReadonlySet<string>;
  readonly textParts: (model: PieceModel, config: JsonPart) => TextParts;
}

/** How text becomes pieces and comes back, as tokenizer.json says it. */
interface TextParts {
  readonly normalizer: JsonObject | null;
  readonly pre_tokenizer: JsonObject | null;
  readonly decoder: JsonObject;
}

const llama: PieceClass = {
  kind: 'pieces',
  file: 'tokenizer.model',
  tokens: () => ({ unk_token: '<unk>', bos_token: '<s>', eos_token: '</s>' }),
  affixes: (config) => configuredAffixes(config, true),
  vocabulary: asListed,
  byteFallback: true,
  findsControls: true,
  special: new Set(),
  textParts: (_, config) => {
    const prefix = config.get('add_prefix_space').flagOr(true);
    const decoder = unmarked(prefix);
    // After an added token only a `legacy` tokenizer begins with ▁ again.
    return config.get('legacy').flagOr(true)
      ? { normalizer: marked(prefix), pre_tokenizer: null, decoder }
      : { normalizer: null, pre_tokenizer: metaspace(prefix ? 'first' : 'never', false), decoder };
  },
};

/** Leaves the text to SentencePiece, so everything is as the model file says. */
const internlm: PieceClass = {
  ...llama,
  findsControls: false,
  textParts: (model) => ({
    normalizer: asModelled(model),
    pre_tokenizer: null,
    decoder: unmarked(model.addsDummyPrefix),
  }),
};

const gemma: PieceClass = {
  ...llama,
  tokens: () => ({
    unk_token: '<unk>',
    bos_token: '<bos>',
    eos_token: '<eos>',
    pad_token: '<pad>',
  }),
  vocabulary: withTab,
  special: new Set(['<start_of_turn>', '<end_of_turn>']),
  textParts: () => ({
    normalizer: marked(false),
    pre_tokenizer: null,
    decoder: unmarked(false),
  }),
};

const t5: PieceClass = {
  ...llama,
  file: 'spiece.model',
  tokens: (options) => ({
    eos_token: '</s>',
    unk_token: '<unk>',
    pad_token: '<pad>',
    additional_special_tokens: extraIds(options),
  }),
  affixes: () => ({ prefix: [], suffix: ['eos_token'] }),
  vocabulary: withExtraIds,
  byteFallback: false,
  textParts: (model, config) => {
    const scheme = !config.get('add_prefix_space').flagOr(true)
      ? 'never'
      : config.get('legacy').flagOr(true)
        ? 'always'
        : 'first';
    const spaces = metaspace(scheme, true);
    return { normalizer: condensed(model), pre_tokenizer: spaces, decoder: spaces };
  },
};

const xlmRoberta: PieceClass = {
  ...t5,
  file: 'sentencepiece.bpe.model',
  tokens: () => ({
    bos_token: '<s>',
    eos_token: '</s>',
    sep_token: '</s>',
    cls_token: '<s>',
    unk_token: '<unk>',
    pad_token: '<pad>',
    mask_token: { content: '<mask>', lstrip: true },
  }),
  affixes: () => ({ prefix: ['cls_token'], suffix: ['sep_token'] }),
  vocabulary: inFairseqOrder,
  textParts: (model) => {
    const spaces = metaspace('always', true);
    return { normalizer: condensed(model), pre_tokenizer: spaces, decoder: spaces };
  },
};

/** By the name of the class, without `Fast`. */
export const pieceClasses: ReadonlyMap<string, PieceClass> = new Map([
  ['LlamaTokenizer', llama],
  ['Phi3Tokenizer', llama],
  [
    'InternLM2Tokenizer',
    {
      ...internlm,
      tokens: (options) => ({ ...llama.tokens(options), pad_token: '</s>' }),
    },
  ],
  ['InternLM3Tokenizer', internlm],
  ['GemmaTokenizer', gemma],
  ['T5Tokenizer', t5],
  ['XLMRobertaTokenizer', xlmRoberta],
]);
