import { embedding, lmLoss, ProgramBuilder, scale, type Program } from '@emloc/autograd';
import { at } from '@emloc/checked';

import type { ChainParts } from './chain-parts.js';
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
  parts?: ChainParts,
): ModelLayout {
  return layoutFrom({ ...decoderChain(shape, names, parts), images: null, diffusion: null });
}

/** The chain of a decoder, for models that have more. */
export function decoderChain(
  shape: DecoderShape,
  names: DecoderNames,
  parts: ChainParts = {},
): Omit<LayoutDeclaration, 'images' | 'diffusion'> {
  const { place = (_block: ProgramBuilder, embedded: Value) => embedded, tables } = parts;
  const { modules, tiedHead, layers, ropes, vocabularySize, maxPositions } = shape;
  const programs = new Map<string, Program>();
  const programOf = (layer: DecoderLayer, index: number): Program => {
    const kind = JSON.stringify(layer);
    const known = programs.get(kind) ?? parts.program?.(index) ?? layerProgram(shape, layer);
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
      ignored: [...shape.ignored, ...(parts.ignored ?? [])],
      denied: parts.denied,
      targetsWithin: parts.targetsWithin,
    },
    tables,
    adapterNotice: shape.adapterNotice,
    text: { vocabularySize, maxPositions },
    blocks: [
      embeddingBlock(shape),
      ...(parts.between ?? []),
      ...layers.map((layer, index): BlockDeclaration => {
        const path = `${modules.layers}.${index}`;
        return {
          name: path,
          path,
          program: programOf(layer, index),
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
