import { ProgramBuilder, type BlockProgram } from '@emloc/autograd';

import type { ConfigReader } from './config.js';
import { ModelError } from './errors.js';
import type { LinearSpec, ModelLayout, UnitSpec, UnitTensorSpec } from './layout.js';

/** What tells one pre-norm SwiGLU decoder with rotary grouped-query attention from another. */
export interface DecoderShape {
  readonly family: string;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly vocabularySize: number;
  readonly blockCount: number;
  readonly maxPositions: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly epsilon: number;
  readonly ropeTheta: number;
  readonly tiedHead: boolean;
  readonly bias: { readonly qkv: boolean; readonly output: boolean; readonly mlp: boolean };
}

/** Far above every model's. */
const mostBlocks = 10_000;
const mostHeads = 2 ** 16;
const mostPositions = 2 ** 31 - 1;

/** What a config says under the keys that this layout's families share. */
export function decoderSizes(
  config: ConfigReader,
  defaults: { readonly maxPositions: number },
): Omit<DecoderShape, 'family' | 'ropeTheta' | 'tiedHead' | 'bias'> {
  const hiddenSize = config.positiveInteger('hidden_size');
  const heads = config.positiveInteger('num_attention_heads', undefined, { most: mostHeads });
  if (!config.has('head_dim') && hiddenSize % heads !== 0)
    throw config.invalid(
      'head_dim',
      `given: hidden_size ${hiddenSize} over ${heads} heads is none`,
    );
  return {
    hiddenSize,
    intermediateSize: config.positiveInteger('intermediate_size'),
    vocabularySize: config.positiveInteger('vocab_size'),
    blockCount: config.positiveInteger('num_hidden_layers', undefined, { most: mostBlocks }),
    maxPositions: config.positiveInteger('max_position_embeddings', defaults.maxPositions, {
      most: mostPositions,
    }),
    heads,
    kvHeads: config.positiveInteger('num_key_value_heads', heads, { most: mostHeads }),
    headDim: config.positiveInteger('head_dim', hiddenSize / heads),
    epsilon: config.number('rms_norm_eps', 1e-6, { least: Number.MIN_VALUE, most: 1 }),
  };
}

/** The layout that Llama, Qwen2 and their kin share, with Hugging Face's tensor names. */
export function decoderLayout(shape: DecoderShape): ModelLayout {
  assertShape(shape);
  const linears = decoderLinears(shape);
  const units = decoderUnits(shape, linears);
  return Object.freeze({
    family: shape.family,
    hiddenSize: shape.hiddenSize,
    vocabularySize: shape.vocabularySize,
    blockCount: shape.blockCount,
    maxPositions: shape.maxPositions,
    tiedHead: shape.tiedHead,
    rope: { theta: shape.ropeTheta, headDim: shape.headDim },
    finalNorm: { tensor: 'norm.weight', epsilon: shape.epsilon },
    program: decoderProgram(shape),
    linears,
    units,
    embedUnit: 0,
    headUnit: shape.tiedHead ? 0 : units.length - 1,
    embedTensor: 'embed_tokens.weight',
    headPath: 'lm_head',
    headTensor: shape.tiedHead ? 'embed_tokens.weight' : 'lm_head.weight',
    blockUnit: (block: number) => block + 1,
    blockPath: (block: number) => `model.layers.${block}`,
  });
}

function assertShape({ heads, kvHeads, headDim }: DecoderShape): void {
  if (heads % kvHeads !== 0) {
    throw new ModelError(
      'MODEL_INVALID_CONFIG',
      `config.json: num_attention_heads ${heads} is no multiple of num_key_value_heads ${kvHeads}`,
    );
  }
  if (headDim % 2 !== 0)
    throw new ModelError('MODEL_INVALID_CONFIG', `config.json: head_dim ${headDim} is odd`);
}

function decoderLinears({
  hiddenSize,
  intermediateSize,
  heads,
  kvHeads,
  headDim,
  bias,
}: DecoderShape): readonly LinearSpec[] {
  const attention = heads * headDim;
  const keyValue = kvHeads * headDim;
  return Object.freeze([
    {
      name: 'self_attn.q_proj',
      group: 'attention',
      inFeatures: hiddenSize,
      outFeatures: attention,
      bias: bias.qkv,
    },
    {
      name: 'self_attn.k_proj',
      group: 'attention',
      inFeatures: hiddenSize,
      outFeatures: keyValue,
      bias: bias.qkv,
    },
    {
      name: 'self_attn.v_proj',
      group: 'attention',
      inFeatures: hiddenSize,
      outFeatures: keyValue,
      bias: bias.qkv,
    },
    {
      name: 'self_attn.o_proj',
      group: 'output',
      inFeatures: attention,
      outFeatures: hiddenSize,
      bias: bias.output,
    },
    {
      name: 'mlp.gate_proj',
      group: 'mlp',
      inFeatures: hiddenSize,
      outFeatures: intermediateSize,
      bias: bias.mlp,
    },
    {
      name: 'mlp.up_proj',
      group: 'mlp',
      inFeatures: hiddenSize,
      outFeatures: intermediateSize,
      bias: bias.mlp,
    },
    {
      name: 'mlp.down_proj',
      group: 'down',
      inFeatures: intermediateSize,
      outFeatures: hiddenSize,
      bias: bias.mlp,
    },
  ]);
}

function decoderUnits(shape: DecoderShape, linears: readonly LinearSpec[]): readonly UnitSpec[] {
  const { hiddenSize, vocabularySize, tiedHead } = shape;
  const table = [vocabularySize, hiddenSize];
  const embedding: UnitTensorSpec = {
    name: 'embed_tokens.weight',
    checkpointName: 'model.embed_tokens.weight',
    shape: table,
  };
  const norm: UnitTensorSpec = {
    name: 'norm.weight',
    checkpointName: 'model.norm.weight',
    shape: [hiddenSize],
  };
  const head: UnitTensorSpec = {
    name: 'lm_head.weight',
    checkpointName: 'lm_head.weight',
    shape: table,
  };
  const blocks = Array.from({ length: shape.blockCount }, (_, block) => ({
    name: `block ${block}`,
    tensors: blockTensors(`model.layers.${block}`, hiddenSize, linears),
  }));
  if (tiedHead) return [{ name: 'embedding and head', tensors: [embedding, norm] }, ...blocks];
  return [
    { name: 'embedding', tensors: [embedding] },
    ...blocks,
    { name: 'head', tensors: [norm, head] },
  ];
}

function blockTensors(
  path: string,
  hiddenSize: number,
  linears: readonly LinearSpec[],
): readonly UnitTensorSpec[] {
  const norms = ['input_layernorm.weight', 'post_attention_layernorm.weight'].map((name) => ({
    name,
    shape: [hiddenSize],
  }));
  const weights = linears.flatMap(({ name, inFeatures, outFeatures, bias }) => [
    { name: `${name}.weight`, shape: [outFeatures, inFeatures] },
    ...(bias ? [{ name: `${name}.bias`, shape: [outFeatures] }] : []),
  ]);
  return [...norms, ...weights].map((tensor) => ({
    ...tensor,
    checkpointName: `${path}.${tensor.name}`,
  }));
}

function decoderProgram(shape: DecoderShape): BlockProgram {
  const { hiddenSize, intermediateSize, heads, kvHeads, headDim, epsilon } = shape;
  const block = new ProgramBuilder(hiddenSize);
  const x = block.input;
  const normed = block.rmsNorm(x, 'input_layernorm.weight', epsilon);
  const q = block.rope(block.linear(normed, 'self_attn.q_proj', heads * headDim), heads);
  const k = block.rope(block.linear(normed, 'self_attn.k_proj', kvHeads * headDim), kvHeads);
  const v = block.linear(normed, 'self_attn.v_proj', kvHeads * headDim);
  const attended = block.attention(q, k, v, { heads, kvHeads, scale: 1 / Math.sqrt(headDim) });
  const middle = block.add(x, block.linear(attended, 'self_attn.o_proj', hiddenSize));
  const normedMiddle = block.rmsNorm(middle, 'post_attention_layernorm.weight', epsilon);
  const gate = block.linear(normedMiddle, 'mlp.gate_proj', intermediateSize);
  const up = block.linear(normedMiddle, 'mlp.up_proj', intermediateSize);
  const down = block.linear(block.swiglu(gate, up), 'mlp.down_proj', hiddenSize);
  return block.build(block.add(middle, down));
}
