import {
  activation,
  add,
  attention,
  embedding,
  frozenLinear,
  gatherRows,
  groupRows,
  joinRows,
  layerNorm,
  layerScale,
  linear,
  ProgramBuilder,
  rmsNorm,
  splitColumns,
  type Program,
} from '@emloc/autograd';

import type { BlockDeclaration } from '../layout.js';
import type { VisionNames, VisionPaths, VisionShape } from './shape.js';
import { imageRows, imageStreams } from './streams.js';

type Value = ReturnType<ProgramBuilder['value']>;

/** The stream of the tower's blocks. */
const vision = 'vision';
/** PyTorch's default, which the projector's norm has whatever config.json says. */
const projectorEpsilon = 1e-5;

export interface VisionParts {
  readonly shape: VisionShape;
  readonly names: VisionNames;
  /** Where the modules are in the class that opens the folder. */
  readonly modules: VisionPaths;
  /** Where they are in the checkpoint. */
  readonly stored: VisionPaths;
}

/** From patches of pixels to rows for the text: patch embedding, tower, projector. */
export function visionBlocks(parts: VisionParts, textWidth: number): BlockDeclaration[] {
  const { shape, names, modules, stored } = parts;
  const layer = layerProgram(parts);
  return [
    {
      name: 'the patch embedding',
      path: modules.tower,
      page: 'patch embedding',
      program: embeddingProgram(parts),
      checkpointName: (parameter) => `${stored.tower}.${parameter}`,
      isFront: true,
    },
    ...Array.from({ length: shape.blocks }, (_, index): BlockDeclaration => {
      const path = `${modules.tower}.${names.layers}.${index}`;
      return {
        name: path,
        path,
        page: `tower block ${index}`,
        program: layer,
        checkpointName: (name) => `${stored.tower}.${names.layers}.${index}.${name}`,
        treatment: () => ({ adapted: 'whenNamed', emulated: 'whenNamed' }),
        isFront: true,
      };
    }),
    {
      name: 'the projector',
      path: modules.projector,
      page: 'projector',
      program: projectorProgram(parts, textWidth),
      checkpointName: (parameter) => `${stored.projector}.${parameter}`,
      treatment: () => ({ adapted: 'whenNamed', emulated: 'never' }),
      isFront: true,
    },
  ];
}

/** Patches as rows behind their tile's class row, with positions added. */
function embeddingProgram({ shape, names }: VisionParts): Program {
  const { hiddenSize: width, patchSize, gridSize } = shape;
  const block = new ProgramBuilder();
  const pixels = block.input(imageStreams.patches, 3 * patchSize ** 2, imageRows.patches);
  const patches = frozenLinear(block, pixels, {
    name: names.patches,
    outFeatures: width,
    storedShape: [width, 3, patchSize, patchSize],
  });
  const table = (name: string, entries: number, indices: string, rows: string): Value =>
    embedding(block, {
      table: name,
      entries,
      width,
      indices,
      rows,
      storedShape: [1, entries, width],
    });
  const classes = table(names.classTable, 1, imageStreams.classEntries, imageRows.classes);
  const joined = joinRows(
    block,
    [
      { value: classes, indices: imageStreams.classRows },
      { value: patches, indices: imageStreams.patchRows },
    ],
    imageRows.tower,
  );
  const { positions } = imageStreams;
  const placed = table(names.positions, gridSize ** 2 + 1, positions, imageRows.tower);
  return block.build({ [vision]: add(block, joined, placed) });
}

/** One block: attention within a tile and a feed-forward, each scaled by channel and added. */
function layerProgram({ shape, names }: VisionParts): Program {
  const { hiddenSize: width, intermediateSize, activation: kind } = shape;
  const { scale1, scale2 } = names;
  const whole = imageRows.towerWhole;
  const block = new ProgramBuilder();
  const x = block.input(vision, width, imageRows.tower);
  const attended = attentionOutput(block, blockNorm(block, x, names.norm1, shape), {
    shape,
    names,
  });
  const middle = layerScale(block, x, { x: attended, scale: scale1, whole });
  const normed = blockNorm(block, middle, names.norm2, shape);
  const inner = linear(block, normed, {
    name: names.fc1,
    outFeatures: intermediateSize,
    bias: true,
  });
  const fed = linear(block, activation(block, inner, kind), {
    name: names.fc2,
    outFeatures: width,
    bias: true,
  });
  return block.build({ [vision]: layerScale(block, middle, { x: fed, scale: scale2, whole }) });
}

function blockNorm(
  block: ProgramBuilder,
  x: Value,
  name: string,
  { norm, epsilon }: VisionShape,
): Value {
  const weight = `${name}.weight`;
  if (norm === 'rmsNorm') return rmsNorm(block, x, { weight, epsilon });
  return layerNorm(block, x, { weight, bias: `${name}.bias`, epsilon });
}

function attentionOutput(
  block: ProgramBuilder,
  x: Value,
  { shape, names }: Pick<VisionParts, 'shape' | 'names'>,
): Value {
  const { hiddenSize, heads, qkNorm, qkEpsilon: epsilon } = shape;
  const { q, k, v } = queriesKeysValues(block, x, { shape, names });
  // Over the whole projection, all heads together.
  const normed = (value: Value, name: string): Value =>
    qkNorm ? rmsNorm(block, value, { weight: `${name}.weight`, epsilon }) : value;
  const seen = attention(block, {
    q: normed(q, names.qNorm),
    k: normed(k, names.kNorm),
    v,
    heads,
    kvHeads: heads,
    scale: 1 / Math.sqrt(hiddenSize / heads),
    mask: { kind: 'none' },
  });
  return linear(block, seen, { name: names.output, outFeatures: hiddenSize, bias: true });
}

function queriesKeysValues(
  block: ProgramBuilder,
  x: Value,
  { shape, names: { qkv } }: Pick<VisionParts, 'shape' | 'names'>,
): { readonly q: Value; readonly k: Value; readonly v: Value } {
  const { hiddenSize: width, qkvBias: bias } = shape;
  const apply = (name: string, outFeatures: number): Value =>
    linear(block, x, { name, outFeatures, bias });
  if (qkv.kind === 'separate')
    return { q: apply(qkv.q, width), k: apply(qkv.k, width), v: apply(qkv.v, width) };
  const fused = apply(qkv.name, 3 * width);
  const [q, k, v] = splitColumns(block, fused, { widths: [width, width, width] });
  if (!q || !k || !v) throw new Error('three parts expected');
  return { q, k, v };
}

/** Squares of patches as one row each, through a norm and two linears. */
function projectorProgram({ shape, names }: VisionParts, textWidth: number): Program {
  const { projector } = names;
  const block = new ProgramBuilder();
  const x = block.input(vision, shape.hiddenSize, imageRows.tower);
  const features = gatherRows(block, x, {
    indices: imageStreams.shuffledRows,
    rows: imageRows.shuffled,
  });
  const squares = groupRows(block, features, {
    count: shape.shuffleSize ** 2,
    rows: imageRows.image,
  });
  const normed = layerNorm(block, squares, {
    weight: `${projector.norm}.weight`,
    bias: `${projector.norm}.bias`,
    epsilon: projectorEpsilon,
  });
  const apply = (value: Value, name: string): Value =>
    linear(block, value, { name, outFeatures: textWidth, bias: true });
  const inner = activation(block, apply(normed, projector.linear1), shape.projectorActivation);
  return block.build({ [imageStreams.image]: apply(inner, projector.linear2) });
}
