import {
  add,
  attention,
  gatedActivation,
  linear,
  ProgramBuilder,
  rmsNorm,
  rope,
  scale,
  splitColumns,
  type Program,
} from '@emloc/autograd';
import type { AttentionOptions } from '@emloc/device';

import type { DecoderLayer, DecoderShape, MixerPlace } from './decoder-shape.js';
import { streams, tokens } from './decoder-streams.js';

type Value = ReturnType<ProgramBuilder['value']>;

/** One layer: its mixer and a gated feed-forward, each added to what comes in. */
export function layerProgram(shape: DecoderShape, layer: DecoderLayer): Program {
  const block = new ProgramBuilder();
  const { norms } = shape;
  const norm = (x: Value, name: string | null): Value =>
    name === null ? x : rmsNorm(block, x, { ...normOf(shape), weight: `${name}.weight` });
  const branch = (x: Value, name: string | null): Value =>
    scale(block, norm(x, name), shape.residualFactor);

  const x = block.input(streams.hidden, shape.hiddenSize, tokens);
  const mix = layer.mixer?.mix ?? attentionOutput;
  const mixed = mix(block, norm(x, norms.attentionInput), { shape, layer });
  const middle = add(block, x, branch(mixed, norms.attentionOutput));
  const fed = feedForward(block, norm(middle, norms.mlpInput), shape);
  const out = add(block, middle, branch(fed, norms.mlpOutput));
  return block.build({ [streams.hidden]: out });
}

function normOf({ epsilon, normOffset }: DecoderShape): {
  readonly epsilon: number;
  readonly weightOffset: number;
} {
  return { epsilon, weightOffset: normOffset };
}

function attentionOutput(block: ProgramBuilder, x: Value, { shape, layer }: MixerPlace): Value {
  const { heads, kvHeads, hiddenSize } = shape;
  const projected = queriesKeysValues(block, x, shape);
  const q = rotated(normed(projected.q, 'q_norm', heads), layer.rope?.query, heads);
  const k = rotated(normed(projected.k, 'k_norm', kvHeads), layer.rope?.key, kvHeads);
  const out = attention(block, {
    q,
    k,
    v: projected.v,
    heads,
    kvHeads,
    scale: shape.attentionScale,
    mask: maskOf(layer, shape),
    softCap: shape.scoreCap ?? undefined,
  });
  const { gate } = projected;
  const gated = gate ? gatedActivation(block, { gate, up: out, kind: 'sigmoid' }) : out;
  return linear(block, gated, {
    name: shape.linears.output,
    outFeatures: hiddenSize,
    bias: shape.bias.output,
  });

  function normed(value: Value, name: string, count: number): Value {
    if (shape.qkNorm === 'none') return value;
    return rmsNorm(block, value, {
      ...normOf(shape),
      weight: `self_attn.${name}.weight`,
      heads: shape.qkNorm === 'head' ? count : 1,
    });
  }

  function rotated(value: Value, table: string | undefined, count: number): Value {
    const spec = table === undefined ? undefined : shape.ropes.get(table);
    if (table === undefined || !spec) return value;
    return rope(block, value, {
      table,
      heads: count,
      rotaryDim: spec.rotaryDim,
      pairs: spec.pairs,
    });
  }
}

/** A window that no row outgrows is none: so it needs no other kernel. */
export function maskOf(
  { window }: DecoderLayer,
  { maxPositions }: Pick<DecoderShape, 'maxPositions'>,
): AttentionOptions['mask'] {
  return window === null || window >= maxPositions
    ? { kind: 'causal' }
    : { kind: 'window', window };
}

interface Projected {
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
  /** As wide as q; absent where there is none. */
  readonly gate?: Value;
}

function queriesKeysValues(block: ProgramBuilder, x: Value, shape: DecoderShape): Projected {
  const { heads, kvHeads, headDim, bias, attentionGate } = shape;
  const { qkv } = shape.linears;
  const [queries, keys] = [heads * headDim, kvHeads * headDim];
  const apply = (name: string, outFeatures: number): Value =>
    linear(block, x, { name, outFeatures, bias: bias.qkv });
  if (qkv.kind === 'separate') {
    const q = apply(qkv.q, attentionGate ? 2 * queries : queries);
    const [k, v] = [apply(qkv.k, keys), apply(qkv.v, keys)];
    return { ...(attentionGate ? queriesAndGates(block, q, heads) : { q }), k, v };
  }
  const groups = qkv.rows === 'grouped' ? kvHeads : 1;
  const fused = apply(qkv.name, queries + 2 * keys);
  const [q, k, v] = splitColumns(block, fused, { widths: [queries, keys, keys], groups });
  if (!q || !k || !v) throw new Error('three parts expected');
  return { q, k, v };
}

/** Head by head, a query and then its gate. */
function queriesAndGates(
  block: ProgramBuilder,
  both: Value,
  heads: number,
): { readonly q: Value; readonly gate: Value } {
  const widths = [both.width / 2, both.width / 2];
  const [q, gate] = splitColumns(block, both, { widths, groups: heads });
  if (!q || !gate) throw new Error('two parts expected');
  return { q, gate };
}

/** A gated feed-forward of a layer. */
export function feedForward(block: ProgramBuilder, x: Value, shape: DecoderShape): Value {
  const { intermediateSize: inner, hiddenSize, bias, activation: kind, linears } = shape;
  const { gate, up } = gateAndUp(block, x, { inner, bias: bias.mlp, linears });
  return linear(block, gatedActivation(block, { gate, up, kind }), {
    name: linears.down,
    outFeatures: hiddenSize,
    bias: bias.mlp,
  });
}

function gateAndUp(
  block: ProgramBuilder,
  x: Value,
  {
    inner,
    bias,
    linears: { gateUp },
  }: { readonly inner: number; readonly bias: boolean } & Pick<DecoderShape, 'linears'>,
): { readonly gate: Value; readonly up: Value } {
  const apply = (name: string, outFeatures: number): Value =>
    linear(block, x, { name, outFeatures, bias });
  if (gateUp.kind === 'separate')
    return { gate: apply(gateUp.gate, inner), up: apply(gateUp.up, inner) };
  const fused = apply(gateUp.name, 2 * inner);
  const [gate, up] = splitColumns(block, fused, { widths: [inner, inner] });
  if (!gate || !up) throw new Error('two parts expected');
  return { gate, up };
}
