import {
  activation,
  add,
  attention,
  gatedAdd,
  gatherRows,
  joinColumns,
  joinRows,
  layerNorm,
  linear,
  modulate,
  mseLoss,
  ProgramBuilder,
  rmsNorm,
  rope,
  splitColumns,
  type Program,
} from '@emloc/autograd';
import { at } from '@emloc/checked';

import { epsilon, featureWidth, feedForwardFactor, type TransformerShape } from './shape.js';
import { modulationStream, diffusionRows as rows, diffusionStreams as streams } from './streams.js';

type Value = ReturnType<ProgramBuilder['value']>;

/** Streams between blocks. */
const inner = Object.freeze({
  /** (samples, width): noise level, guidance and prompt in one vector. */
  vector: 'vector',
  /** (latents, width) */
  image: 'image',
  /** (prompt, width) */
  text: 'text',
  /** (joint, width): text and image, from the first single block on. */
  joint: 'joint',
});

/** Vectors that a stream of a double block is modulated by, and a single block's. */
const [perStream, perSingle] = [6, 3];

/** Features of noise level and guidance, and the pooled prompt, as one vector a sample. */
export function conditioningProgram({
  width,
  pooledWidth,
  hasGuidance,
}: TransformerShape): Program {
  const block = new ProgramBuilder();
  const parts: readonly (readonly [stream: string, columns: number, name: string])[] = [
    [streams.noiseLevel, featureWidth, 'timestep_embedder'],
    ...(hasGuidance ? [[streams.guidance, featureWidth, 'guidance_embedder'] as const] : []),
    [streams.pooled, pooledWidth, 'text_embedder'],
  ];
  const embedded = parts.map(([stream, columns, name]) => {
    const x = block.input(stream, columns, rows.samples);
    const apply = (value: Value, part: string): Value =>
      linear(block, value, { name: `${name}.${part}`, outFeatures: width, bias: true });
    return apply(activation(block, apply(x, 'linear_1'), 'silu'), 'linear_2');
  });
  return block.build({ [inner.vector]: embedded.reduce((sum, value) => add(block, sum, value)) });
}

/** The vectors that a block is modulated by. */
export function modulationProgram(
  { width }: TransformerShape,
  { index, kind }: { readonly index: number; readonly kind: 'double' | 'single' | 'output' },
): Program {
  const block = new ProgramBuilder();
  const vector = block.input(inner.vector, width, rows.samples);
  const active = activation(block, vector, 'silu');
  const apply = (name: string, vectors: number): Value =>
    linear(block, active, { name, outFeatures: vectors * width, bias: true });
  return block.build({ [modulationStream(index)]: modulation() });

  function modulation(): Value {
    if (kind === 'output') return apply('linear', 2);
    if (kind === 'single') return apply('norm.linear', perSingle);
    const parts = [apply('norm1.linear', perStream), apply('norm1_context.linear', perStream)];
    return joinColumns(block, parts);
  }
}

/** Latents and prompts as rows of the model's width. */
export function embeddingProgram(shape: TransformerShape): Program {
  const { width: outFeatures, inChannels, promptWidth } = shape;
  const block = new ProgramBuilder();
  const latents = block.input(streams.latents, inChannels, rows.latents);
  const prompt = block.input(streams.prompt, promptWidth, rows.prompt);
  const image = linear(block, latents, { name: 'x_embedder', outFeatures, bias: true });
  const text = linear(block, prompt, { name: 'context_embedder', outFeatures, bias: true });
  const isLast = shape.doubleBlocks === 0 && shape.singleBlocks > 0;
  return block.build(isLast ? joined(block, image, text) : separate(image, text));
}

/** Two streams with weights of their own, which attend to one another. */
export function doubleProgram(shape: TransformerShape, index: number): Program {
  const { width } = shape;
  const block = new ProgramBuilder();
  const image = block.input(inner.image, width, rows.latents);
  const text = block.input(inner.text, width, rows.prompt);
  const vectors = modulationOf(block, shape, { index, vectors: 2 * perStream });
  const [ofImage, ofText] = [vectors.slice(0, perStream), vectors.slice(perStream)];
  const seen = jointAttention(block, shape, {
    image: normed(block, image, ofImage),
    text: normed(block, text, ofText),
  });
  const fedImage = fed(image, ofImage, { seen: seen.image, out: 'attn.to_out.0', feed: 'ff' });
  const fedText = fed(text, ofText, {
    seen: seen.text,
    out: 'attn.to_add_out',
    feed: 'ff_context',
  });
  const isLast = index === shape.doubleBlocks - 1 && shape.singleBlocks > 0;
  return block.build(isLast ? joined(block, fedImage, fedText) : separate(fedImage, fedText));

  /** Attention's output and a feed-forward, each gated and added. */
  function fed(
    x: Value,
    own: readonly Value[],
    names: { readonly seen: Value; readonly out: string; readonly feed: string },
  ): Value {
    const apply = (value: Value, name: string, outFeatures: number): Value =>
      linear(block, value, { name, outFeatures, bias: true });
    const attended = apply(names.seen, names.out, width);
    const middle = gatedAdd(block, x, { x: attended, gate: at(own, 2) });
    const wide = apply(
      normed(block, middle, own.slice(3)),
      `${names.feed}.net.0.proj`,
      feedForwardFactor * width,
    );
    const narrow = apply(activation(block, wide, 'geluTanh'), `${names.feed}.net.2`, width);
    return gatedAdd(block, middle, { x: narrow, gate: at(own, 5) });
  }
}

/** Attention and feed-forward side by side over text and image in one. */
export function singleProgram(shape: TransformerShape, index: number): Program {
  const { width } = shape;
  const block = new ProgramBuilder();
  const x = block.input(inner.joint, width, rows.joint);
  const vectors = modulationOf(block, shape, {
    index: shape.doubleBlocks + index,
    vectors: perSingle,
  });
  const u = normed(block, x, vectors);
  const apply = (value: Value, name: string, outFeatures: number): Value =>
    linear(block, value, { name, outFeatures, bias: true });
  const q = headNormed(block, shape, apply(u, 'attn.to_q', width), 'attn.norm_q');
  const k = headNormed(block, shape, apply(u, 'attn.to_k', width), 'attn.norm_k');
  const v = apply(u, 'attn.to_v', width);
  const seen = attended(block, shape, { q, k, v });
  const wide = apply(u, 'proj_mlp', feedForwardFactor * width);
  const both = joinColumns(block, [seen, activation(block, wide, 'geluTanh')]);
  const out = apply(both, 'proj_out', width);
  return block.build({ [inner.joint]: gatedAdd(block, x, { x: out, gate: at(vectors, 2) }) });
}

/** The velocity of the latents, and the mean of its squared difference from the target. */
export function outputProgram(shape: TransformerShape): Program {
  const { width, inChannels } = shape;
  const block = new ProgramBuilder();
  const x = outputInput(block, shape);
  const index = shape.doubleBlocks + shape.singleBlocks;
  const [scale, shift] = modulationOf(block, shape, { index, vectors: 2 });
  const target = block.input(streams.target, inChannels, rows.latents);
  const weight = block.input(streams.weight, 1, rows.latents);
  if (!scale || !shift) throw new Error('two parts expected');
  const plain = layerNorm(block, x, { epsilon, weight: null, bias: null });
  const prediction = linear(block, modulate(block, plain, { scale, shift }), {
    name: 'proj_out',
    outFeatures: inChannels,
    bias: true,
  });
  mseLoss(block, { prediction, target, weight });
  return block.build({});

  function outputInput(builder: ProgramBuilder, { singleBlocks }: TransformerShape): Value {
    if (singleBlocks === 0) return builder.input(inner.image, width, rows.latents);
    const all = builder.input(inner.joint, width, rows.joint);
    return gatherRows(builder, all, { indices: streams.latentRows, rows: rows.latents });
  }
}

function separate(image: Value, text: Value): Readonly<Record<string, Value>> {
  return { [inner.image]: image, [inner.text]: text };
}

function joined(block: ProgramBuilder, image: Value, text: Value): Readonly<Record<string, Value>> {
  return { [inner.joint]: joinedRows(block, image, text) };
}

/** Every sample's text before its image. */
function joinedRows(block: ProgramBuilder, image: Value, text: Value): Value {
  const parts = [
    { value: text, indices: streams.promptRows },
    { value: image, indices: streams.latentRows },
  ];
  return joinRows(block, parts, rows.joint);
}

function modulationOf(
  block: ProgramBuilder,
  { width }: TransformerShape,
  { index, vectors }: { readonly index: number; readonly vectors: number },
): readonly Value[] {
  const x = block.input(modulationStream(index), vectors * width, rows.samples);
  return splitColumns(block, x, { widths: Array.from({ length: vectors }, () => width) });
}

/** A norm without weights of its own, modulated. */
function normed(block: ProgramBuilder, x: Value, [shift, scale]: readonly Value[]): Value {
  if (!scale || !shift) throw new Error('two parts expected');
  const plain = layerNorm(block, x, { epsilon, weight: null, bias: null });
  return modulate(block, plain, { scale, shift });
}

function headNormed(
  block: ProgramBuilder,
  { heads }: TransformerShape,
  x: Value,
  name: string,
): Value {
  return rmsNorm(block, x, { weight: `${name}.weight`, epsilon, heads });
}

/** Each stream's queries, keys and values by its own weights; attention over both. */
function jointAttention(
  block: ProgramBuilder,
  shape: TransformerShape,
  { image, text }: { readonly image: Value; readonly text: Value },
): { readonly image: Value; readonly text: Value } {
  const apply = (x: Value, name: string): Value =>
    linear(block, x, { name: `attn.${name}`, outFeatures: shape.width, bias: true });
  const head = (x: Value, name: string, norm: string): Value =>
    headNormed(block, shape, apply(x, name), `attn.${norm}`);
  const q = joinedRows(
    block,
    head(image, 'to_q', 'norm_q'),
    head(text, 'add_q_proj', 'norm_added_q'),
  );
  const k = joinedRows(
    block,
    head(image, 'to_k', 'norm_k'),
    head(text, 'add_k_proj', 'norm_added_k'),
  );
  const v = joinedRows(block, apply(image, 'to_v'), apply(text, 'add_v_proj'));
  const seen = attended(block, shape, { q, k, v });
  return {
    image: gatherRows(block, seen, { indices: streams.latentRows, rows: rows.latents }),
    text: gatherRows(block, seen, { indices: streams.promptRows, rows: rows.prompt }),
  };
}

function attended(
  block: ProgramBuilder,
  { heads, headDim }: TransformerShape,
  { q, k, v }: { readonly q: Value; readonly k: Value; readonly v: Value },
): Value {
  const turned = (x: Value): Value =>
    rope(block, x, { table: streams.rope, heads, pairs: 'adjacent' });
  return attention(block, {
    q: turned(q),
    k: turned(k),
    v,
    heads,
    kvHeads: heads,
    scale: 1 / Math.sqrt(headDim),
    mask: { kind: 'none' },
  });
}
