import type { ConfigReader } from './config.js';
import type { DecoderShape } from './decoder-shape.js';
import { ModelError } from './errors.js';

/** What a configuration class takes for keys that a config leaves out. */
export interface SizeDefaults {
  readonly maxPositions: number;
  readonly epsilon: number;
  /** Absent: hidden size over heads. */
  readonly headDim?: number;
  /** Absent: as many as heads, which is also what null means. */
  readonly kvHeads?: number;
  /**
   * Absent: the config has to say these. Configs within a wrapper's are often the mere difference
   * from the class.
   */
  readonly sizes?: {
    readonly hiddenSize: number;
    readonly intermediateSize: number;
    readonly vocabularySize: number;
    readonly layers: number;
    readonly heads: number;
  };
}

/** The numbers of a config that every family has. */
export type Sizes = Pick<
  DecoderShape,
  | 'hiddenSize'
  | 'intermediateSize'
  | 'vocabularySize'
  | 'maxPositions'
  | 'heads'
  | 'kvHeads'
  | 'headDim'
  | 'epsilon'
>;

/** Far above every model's. */
const mostLayers = 10_000;
const mostHeads = 2 ** 16;
const mostPositions = 2 ** 31 - 1;

/** @throws ModelError MODEL_INVALID_CONFIG for sizes that are missing or do not fit each other */
export function readSizes(config: ConfigReader, defaults: SizeDefaults): Sizes {
  const { sizes } = defaults;
  const hiddenSize = config.positiveInteger('hidden_size', sizes?.hiddenSize);
  const heads = config.positiveInteger('num_attention_heads', sizes?.heads, { most: mostHeads });
  return {
    hiddenSize,
    intermediateSize: config.positiveInteger('intermediate_size', sizes?.intermediateSize),
    vocabularySize: config.positiveInteger('vocab_size', sizes?.vocabularySize),
    maxPositions: config.positiveInteger('max_position_embeddings', defaults.maxPositions, {
      most: mostPositions,
    }),
    heads,
    kvHeads: readKvHeads(config, heads, defaults.kvHeads),
    headDim: readHeadDim(config, defaults.headDim ?? hiddenSize / heads, { hiddenSize, heads }),
    epsilon: config.number('rms_norm_eps', defaults.epsilon, { least: Number.MIN_VALUE, most: 1 }),
  };
}

export function readLayerCount(config: ConfigReader, defaults?: SizeDefaults): number {
  return config.positiveInteger('num_hidden_layers', defaults?.sizes?.layers, { most: mostLayers });
}

function readKvHeads(config: ConfigReader, heads: number, fallback = heads): number {
  const key = 'num_key_value_heads';
  const isAbsent = config.get(key) === undefined;
  const kvHeads = config.positiveInteger(key, isAbsent ? fallback : heads, { most: mostHeads });
  if (heads % kvHeads !== 0)
    throw new ModelError(
      'MODEL_INVALID_CONFIG',
      `config.json: num_attention_heads ${heads} is no multiple of ${key} ${kvHeads}`,
    );
  return kvHeads;
}

function readHeadDim(
  config: ConfigReader,
  fallback: number,
  { hiddenSize, heads }: { readonly hiddenSize: number; readonly heads: number },
): number {
  const key = 'head_dim';
  if (!config.has(key) && !Number.isInteger(fallback))
    throw config.invalid(key, `given: hidden_size ${hiddenSize} over ${heads} heads is none`);
  const headDim = config.positiveInteger(key, fallback);
  if (headDim % 2 !== 0)
    throw new ModelError('MODEL_INVALID_CONFIG', `config.json: ${key} ${headDim} is odd`);
  return headDim;
}
