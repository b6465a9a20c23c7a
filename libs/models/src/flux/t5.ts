import {
  add,
  attention,
  embedding,
  gatedActivation,
  linear,
  ProgramBuilder,
  rmsNorm,
  type Program,
} from '@emloc/autograd';

import { refuseQuantization } from '../common.js';
import type { ConfigReader } from '../config.js';
import type { PromptLimits } from '../diffusion-limits.js';
import { layoutFrom, type BlockDeclaration, type ModelLayout } from '../layout.js';
import { encoderRows as rows, encoderStreams as streams } from './encoder-streams.js';

type Value = ReturnType<ProgramBuilder['value']>;

const [hidden, bias] = ['hidden', 'bias'];
const [mostLayers, mostHeads] = [10_000, 2 ** 16];
/** Of the kinds of distance: a model has tens. */
const mostBuckets = 2 ** 12;

interface T5Shape {
  readonly width: number;
  readonly heads: number;
  readonly headDim: number;
  readonly innerWidth: number;
  readonly layers: number;
  readonly vocabularySize: number;
  readonly buckets: number;
  readonly maxDistance: number;
  readonly epsilon: number;
}

/**
 * text_encoder_2/config.json
 * @throws ModelError naming any key whose value would change the result and is not supported
 */
export function readT5(config: ConfigReader): T5Shape {
  refuseQuantization(config);
  config.only('model_type', ['t5']);
  config.only('feed_forward_proj', ['gated-gelu']);
  if (!config.has('feed_forward_proj'))
    throw config.unsupported('feed_forward_proj', 'only "gated-gelu"');
  config.only('dense_act_fn', ['gelu_new']);
  config.only('is_gated_act', [true]);
  const buckets = config.positiveInteger('relative_attention_num_buckets', 32, {
    least: 4,
    most: mostBuckets,
  });
  if (buckets % 2 !== 0) throw config.invalid('relative_attention_num_buckets', 'even');
  return {
    width: config.positiveInteger('d_model', 512),
    heads: config.positiveInteger('num_heads', 8, { most: mostHeads }),
    headDim: config.positiveInteger('d_kv', 64),
    innerWidth: config.positiveInteger('d_ff', 2048),
    layers: config.positiveInteger('num_layers', 6, { most: mostLayers }),
    vocabularySize: config.positiveInteger('vocab_size', 32_128),
    buckets,
    maxDistance: config.positiveInteger('relative_attention_max_distance', 128, {
      least: Math.floor(buckets / 4) + 1,
      most: 2 ** 16,
    }),
    epsilon: config.number('layer_norm_epsilon', 1e-6, { least: Number.MIN_VALUE, most: 1 }),
  };
}

export function rowLimits({ buckets, maxDistance }: T5Shape): PromptLimits['rows'] {
  return { buckets, maxDistance };
}

/**
 * The chain of T5's encoder: `ids` to `prompt`, a row a token.
 * @param table name of the embedding in the checkpoint
 */
export function t5Layout(shape: T5Shape, table: string): ModelLayout {
  const { layers } = shape;
  const layer = layerProgram(shape);
  const block = (path: string, program: Program): BlockDeclaration => ({
    name: path,
    path,
    page: path,
    program,
    treatment: () => ({ adapted: 'whenNamed', emulated: 'never' }),
  });
  return layoutFrom({
    family: 'flux',
    ropes: new Map(),
    numbered: [{ prefix: 'encoder.block', count: layers, key: 'num_layers' }],
    others: { repeated: ['encoder.embed_tokens.weight'], within: 'encoder' },
    text: null,
    images: null,
    diffusion: null,
    blocks: [
      {
        ...block('embeddings', embeddingProgram(shape)),
        checkpointName: (name) => (name === tokenTable ? table : `${firstAttention}.${name}`),
      },
      ...Array.from({ length: layers }, (_, index) => block(`encoder.block.${index}`, layer)),
      block('encoder.final_layer_norm', normProgram(shape)),
    ],
  });
}

const tokenTable = 'shared.weight';
const biasTable = 'relative_attention_bias.weight';
/** Its distances are those of all blocks. */
const firstAttention = 'encoder.block.0.layer.0.SelfAttention';

function embeddingProgram({ width, heads, vocabularySize, buckets }: T5Shape): Program {
  const block = new ProgramBuilder();
  const looked = embedding(block, {
    table: tokenTable,
    entries: vocabularySize,
    width,
    indices: streams.ids,
    rows: rows.tokens,
  });
  const distances = embedding(block, {
    table: biasTable,
    entries: buckets,
    width: heads,
    indices: streams.buckets,
    rows: rows.distances,
  });
  return block.build({ [hidden]: looked, [bias]: distances });
}

/** Scores are not scaled: the weights were made for that. */
function layerProgram({ width, heads, headDim, innerWidth, epsilon }: T5Shape): Program {
  const block = new ProgramBuilder();
  const [first, second] = ['layer.0', 'layer.1'];
  const norm = (x: Value, layer: string): Value =>
    rmsNorm(block, x, { weight: `${layer}.layer_norm.weight`, epsilon });
  const apply = (x: Value, name: string, outFeatures: number): Value =>
    linear(block, x, { name, outFeatures });
  const x = block.input(hidden, width, rows.tokens);
  const relativeBias = block.input(bias, heads, rows.distances);
  const normed = norm(x, first);
  const part = (name: string): Value =>
    apply(normed, `${first}.SelfAttention.${name}`, heads * headDim);
  const seen = attention(block, {
    ...{ q: part('q'), k: part('k'), v: part('v'), relativeBias },
    ...{ heads, kvHeads: heads, scale: 1, mask: { kind: 'none' } },
  });
  const middle = add(block, x, apply(seen, `${first}.SelfAttention.o`, width));
  const inner = norm(middle, second);
  const feed = (name: string, from: Value, outFeatures: number): Value =>
    apply(from, `${second}.DenseReluDense.${name}`, outFeatures);
  const fed = gatedActivation(block, {
    gate: feed('wi_0', inner, innerWidth),
    up: feed('wi_1', inner, innerWidth),
    kind: 'geluTanh',
  });
  return block.build({ [hidden]: add(block, middle, feed('wo', fed, width)) });
}

function normProgram({ width, epsilon }: T5Shape): Program {
  const block = new ProgramBuilder();
  const x = block.input(hidden, width, rows.tokens);
  return block.build({ [streams.prompt]: rmsNorm(block, x, { weight: 'weight', epsilon }) });
}
