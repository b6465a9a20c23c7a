import { embedding, lmLoss, ProgramBuilder, scale, type Program } from '@emloc/autograd';
import { at } from '@emloc/checked';

import { layerProgram } from './decoder-layer.js';
import type { DecoderLayer, DecoderNames, DecoderShape } from './decoder-shape.js';
import { streams, tokens } from './decoder-streams.js';
import {
  layoutFrom,
  type BlockDeclaration,
  type LayoutDeclaration,
  type ModelLayout,
} from './layout.js';

type Value = ReturnType<ProgramBuilder['value']>;

/**
 * The chain of a decoder: embedding, its layers, and norm and head with the loss.
 * @param names in the checkpoint; default: the first that the shape has
 */
export function decoderLayout(
  shape: DecoderShape,
  names: DecoderNames = at(shape.names, 0),
): ModelLayout {
  return layoutFrom({ ...decoderChain(shape, names), images: null, diffusion: null });
}

/** What models that have more put in place of a plain decoder's. */
interface ChainParts {
  /** What becomes of the embedded tokens before the first layer. Default: nothing. */
  readonly place?: (block: ProgramBuilder, embedded: Value) => Value;
  /** The program of a layer; it reads and writes the stream `hidden`. Default: layerProgram. */
  readonly program?: (shape: DecoderShape, layer: DecoderLayer) => Program;
}

/** The chain of a decoder, for models that have more. */
export function decoderChain(
  shape: DecoderShape,
  names: DecoderNames,
  { place = (_block, embedded) => embedded, program = layerProgram }: ChainParts = {},
): Omit<LayoutDeclaration, 'images' | 'diffusion'> {
  const { modules, tiedHead, layers, ropes, vocabularySize, maxPositions } = shape;
  const programs = new Map<string, Program>();
  const programOf = (layer: DecoderLayer): Program => {
    const kind = JSON.stringify(layer);
    const known = programs.get(kind) ?? program(shape, layer);
    programs.set(kind, known);
    return known;
  };
  const treatment: BlockDeclaration['treatment'] = (linear) => {
    const when = shape.onlyWhenNamed.includes(linear) ? 'whenNamed' : 'byDefault';
    return { adapted: when, emulated: when };
  };
  return {
    family: shape.family,
    ropes: new Map([...ropes].map(([name, spec]) => [name, { spec, rows: tokens }])),
    numbered: [{ prefix: names.layers, count: layers.length, key: 'num_hidden_layers' }],
    others: {
      repeated: tiedHead ? [`${names.head}.weight`] : [],
      within: names.within ?? null,
      ignored: shape.ignored,
    },
    adapterNotice: shape.adapterNotice,
    text: { vocabularySize, maxPositions },
    blocks: [
      embeddingBlock(shape),
      ...layers.map((layer, index): BlockDeclaration => {
        const path = `${modules.layers}.${index}`;
        return {
          name: path,
          path,
          program: programOf(layer),
          page: `block ${index}`,
          checkpointName: (parameter) => `${names.layers}.${index}.${parameter}`,
          treatment,
        };
      }),
      headBlock(shape),
    ],
  };

  function embeddingBlock({ hiddenSize: width, embeddingFactor }: DecoderShape): BlockDeclaration {
    const block = new ProgramBuilder();
    const { ids: indices } = streams;
    const looked = embedding(block, {
      table: 'embed_tokens.weight',
      entries: vocabularySize,
      width,
      indices,
      rows: tokens,
    });
    return {
      name: 'the embedding',
      path: names.embedding,
      program: block.build({
        [streams.hidden]: place(block, scale(block, looked, embeddingFactor)),
      }),
      page: tiedHead ? 'embedding and head' : 'embedding',
      checkpointName: () => `${names.embedding}.weight`,
    };
  }

  function headBlock({
    epsilon,
    normOffset,
    logitFactor,
    logitCap,
  }: DecoderShape): BlockDeclaration {
    const block = new ProgramBuilder();
    lmLoss(block, block.input(streams.hidden, shape.hiddenSize, tokens), {
      norm: { weight: 'norm.weight', epsilon, weightOffset: normOffset },
      head: 'lm_head',
      vocabularySize,
      targetRows: streams.targetRows,
      targets: streams.targets,
      logitScale: logitFactor,
      softCap: logitCap ?? undefined,
    });
    const head = tiedHead ? names.embedding : names.head;
    return {
      name: 'the LM head',
      path: modules.head,
      program: block.build({}),
      page: tiedHead ? 'embedding and head' : 'head',
      checkpointName: (name) =>
        name === 'norm.weight' ? `${names.norm}.weight` : `${head}.weight`,
      linearPath: () => modules.head,
    };
  }
}
