import {
  activation,
  add,
  attention,
  embedding,
  gatherRows,
  layerNorm,
  linear,
  ProgramBuilder,
  type Program,
} from '@emloc/autograd';
import type { ActivationKind } from '@emloc/device';

import { readActivation, refuseQuantization } from '../common.js';
import type { ConfigReader } from '../config.js';
import type { PromptLimits } from '../diffusion-limits.js';
import { layoutFrom, type BlockDeclaration, type ModelLayout } from '../layout.js';
import { encoderRows as rows, encoderStreams as streams } from './encoder-streams.js';

type Value = ReturnType<ProgramBuilder['value']>;

const hidden = 'hidden';
const [mostLayers, mostHeads] = [10_000, 2 ** 16];
/** An id that old configs have in place of the end token's: the largest id is meant. */
const legacyEnd = 2;

interface ClipShape {
  readonly width: number;
  readonly heads: number;
  readonly innerWidth: number;
  readonly layers: number;
  readonly positions: number;
  readonly vocabularySize: number;
  readonly activation: ActivationKind;
  readonly epsilon: number;
  readonly end: number | null;
}

/**
 * text_encoder/config.json
 * @throws ModelError naming any key whose value would change the result and is not supported
 */
export function readClip(config: ConfigReader): ClipShape {
  refuseQuantization(config);
  config.only('model_type', ['clip_text_model']);
  const width = config.positiveInteger('hidden_size', 512);
  const heads = config.positiveInteger('num_attention_heads', 8, { most: mostHeads });
  if (width % heads !== 0)
    throw config.invalid('num_attention_heads', `a divisor of hidden_size ${width}`);
  const isQuick = !config.has('hidden_act') || config.get('hidden_act') === 'quick_gelu';
  const end = config.positiveInteger('eos_token_id', 49_407, { least: 0 });
  return {
    width,
    heads,
    innerWidth: config.positiveInteger('intermediate_size', 2048),
    layers: config.positiveInteger('num_hidden_layers', 12, { most: mostLayers }),
    positions: config.positiveInteger('max_position_embeddings', 77),
    vocabularySize: config.positiveInteger('vocab_size', 49_408),
    activation: isQuick ? 'quickGelu' : readActivation(config, 'hidden_act', 'gelu'),
    epsilon: config.number('layer_norm_eps', 1e-5, { least: Number.MIN_VALUE, most: 1 }),
    end: end === legacyEnd ? null : end,
  };
}

export function pooledLimits({ positions, end }: ClipShape): PromptLimits['pooled'] {
  return { tokens: positions, end };
}

/**
 * The chain of CLIP's text encoder: `ids` to `pooled`, the normed row that stands for each prompt.
 * @param prefix of its names in the checkpoint, with the dot
 */
export function clipLayout(shape: ClipShape, prefix: string): ModelLayout {
  const { layers } = shape;
  const layer = layerProgram(shape);
  const block = (path: string, program: Program): BlockDeclaration => ({
    name: path,
    path: `${prefix}${path}`,
    page: path,
    program,
    treatment: () => ({ adapted: 'whenNamed', emulated: 'never' }),
  });
  return layoutFrom({
    family: 'flux',
    ropes: new Map(),
    numbered: [{ prefix: `${prefix}encoder.layers`, count: layers, key: 'num_hidden_layers' }],
    others: { repeated: [`${prefix}embeddings.position_ids`], within: null },
    text: null,
    images: null,
    diffusion: null,
    blocks: [
      block('embeddings', embeddingProgram(shape)),
      ...Array.from({ length: layers }, (_, index) => block(`encoder.layers.${index}`, layer)),
      block('final_layer_norm', pooledProgram(shape)),
    ],
  });
}

function embeddingProgram({ width, vocabularySize, positions }: ClipShape): Program {
  const block = new ProgramBuilder();
  const table = (name: string, entries: number, indices: string): Value =>
    embedding(block, { table: `${name}.weight`, entries, width, indices, rows: rows.tokens });
  const tokens = table('token_embedding', vocabularySize, streams.ids);
  const places = table('position_embedding', positions, streams.positions);
  return block.build({ [hidden]: add(block, places, tokens) });
}

function layerProgram({ width, heads, innerWidth, activation: kind, epsilon }: ClipShape): Program {
  const block = new ProgramBuilder();
  const norm = (x: Value, name: string): Value =>
    layerNorm(block, x, { epsilon, weight: `${name}.weight`, bias: `${name}.bias` });
  const apply = (x: Value, name: string, outFeatures: number): Value =>
    linear(block, x, { name, outFeatures, bias: true });
  const x = block.input(hidden, width, rows.tokens);
  const normed = norm(x, 'layer_norm1');
  const seen = attention(block, {
    q: apply(normed, 'self_attn.q_proj', width),
    k: apply(normed, 'self_attn.k_proj', width),
    v: apply(normed, 'self_attn.v_proj', width),
    heads,
    kvHeads: heads,
    scale: 1 / Math.sqrt(width / heads),
    mask: { kind: 'causal' },
  });
  const middle = add(block, x, apply(seen, 'self_attn.out_proj', width));
  const wide = apply(norm(middle, 'layer_norm2'), 'mlp.fc1', innerWidth);
  const fed = apply(activation(block, wide, kind), 'mlp.fc2', width);
  return block.build({ [hidden]: add(block, middle, fed) });
}

function pooledProgram({ width, epsilon }: ClipShape): Program {
  const block = new ProgramBuilder();
  const x = block.input(hidden, width, rows.tokens);
  const chosen = gatherRows(block, x, { indices: streams.pooledRows, rows: rows.samples });
  const pooled = layerNorm(block, chosen, { epsilon, weight: 'weight', bias: 'bias' });
  return block.build({ [streams.pooled]: pooled });
}
