import { add, linear, ProgramBuilder, rmsNorm, scale, splitColumns } from '@emloc/autograd';
import { at } from '@emloc/checked';

import type { ChainParts } from '../chain-parts.js';
import type { DecoderNames } from '../decoder-shape.js';
import { streams, tokens } from '../decoder-streams.js';
import { rootFactor } from '../gemma.js';
import type { BlockDeclaration, HostTable } from '../layout.js';
import { gemma4Program } from './layer.js';
import { gemma4Streams, type Gemma4Shape, type LayerInputs } from './shape.js';

/** Names beside the embedding's. */
const own = Object.freeze({
  table: 'embed_tokens_per_layer',
  projection: 'per_layer_model_projection',
  norm: 'per_layer_projection_norm',
});

/** What the family's chain has in place of a plain decoder's. */
export function gemma4Parts(shape: Gemma4Shape, names: DecoderNames): ChainParts {
  const { layerInputs } = shape;
  return {
    program: (index) => gemma4Program(shape, index),
    ignored: strayNames(shape, names),
    denied: deniedTensors(shape, names),
    // Linears of the towers that clip are modules of their own, with the names of those here.
    ...(names.within !== undefined && { targetsWithin: 'language_model' }),
    ...(layerInputs && {
      between: [inputsBlock(shape, layerInputs, names)],
      tables: [tableOf(shape, layerInputs, names)],
    }),
  };
}

/** What layers that share keys and values may have in checkpoints all the same. */
function strayNames({ layers }: Gemma4Shape, names: DecoderNames): readonly string[] {
  const left = ['k_proj.', 'v_proj.', 'k_norm.', 'v_norm.'];
  return layers.flatMap(({ keysAndValues }, index) =>
    typeof keysAndValues === 'object'
      ? left.map((name) => `${names.layers}.${index}.self_attn.${name}`)
      : [],
  );
}

/** Of parts that the config says are not there: without them the result would be another. */
function deniedTensors({ layerInputs }: Gemma4Shape, names: DecoderNames) {
  const table = `${parentOf(names.embedding)}.${own.table}.weight`;
  return [
    { tensor: `${names.layers}.0.router.proj.weight`, key: 'enable_moe_block' },
    ...(layerInputs ? [] : [{ tensor: table, key: 'hidden_size_per_layer_input' }]),
  ];
}

function tableOf(
  { layers }: Gemma4Shape,
  { entries, width }: LayerInputs,
  names: DecoderNames,
): HostTable {
  return {
    stream: gemma4Streams.lookedUp,
    rows: tokens,
    indices: streams.ids,
    checkpointName: `${parentOf(names.embedding)}.${own.table}.weight`,
    ...{ entries, width: layers.length * width },
  };
}

/** What each layer gets of a token: of its embedding, and of what the table has of it. */
function inputsBlock(
  shape: Gemma4Shape,
  { width }: LayerInputs,
  names: DecoderNames,
): BlockDeclaration {
  const { hiddenSize, epsilon, layers } = shape;
  const block = new ProgramBuilder();
  const outFeatures = layers.length * width;
  const x = block.input(streams.hidden, hiddenSize, tokens);
  const looked = block.input(gemma4Streams.lookedUp, outFeatures, tokens);
  const projected = linear(block, x, { name: own.projection, outFeatures });
  const normed = rmsNorm(block, scale(block, projected, 1 / Math.sqrt(hiddenSize)), {
    ...{ epsilon, weight: `${own.norm}.weight`, heads: layers.length },
  });
  const sum = add(block, normed, scale(block, looked, rootFactor(width)));
  const inputs = splitColumns(block, scale(block, sum, Math.SQRT1_2), {
    widths: layers.map(() => width),
  });
  return {
    name: "the layers' inputs",
    path: parentOf(shape.modules.layers),
    program: block.build(
      Object.fromEntries(layers.map((_, index) => [gemma4Streams.input(index), at(inputs, index)])),
    ),
    page: "layers' inputs",
    checkpointName: (name) => `${parentOf(names.embedding)}.${name}`,
    treatment: () => ({ adapted: 'whenNamed', emulated: 'never' }),
  };
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('.'));
}
