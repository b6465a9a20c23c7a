import {
  causalConvolution,
  gatedActivation,
  gatedDeltaRule,
  l2Norm,
  linear,
  rmsNorm,
  splitColumns,
  type ProgramBuilder,
} from '@emloc/autograd';

import type { MixerPlace } from '../decoder-shape.js';

type Value = ReturnType<ProgramBuilder['value']>;

/** Sizes of a gated delta net. */
export interface DeltaNetShape {
  readonly keyHeads: number;
  /** A multiple of the key heads: value head h has the q and k of key head ⌊h / multiple⌋. */
  readonly valueHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  /** Rows that the convolution sees. */
  readonly taps: number;
}

/** Of the norms of q and k, whatever the config says of others. */
const l2Epsilon = 1e-6;

/** Linears of a few rows, whose error is exponentiated: whole unless a pattern names them. */
export const gateLinears: readonly string[] = ['linear_attn.in_proj_a', 'linear_attn.in_proj_b'];

/** Linear attention with a decaying state, its output normed and gated (arXiv 2412.06464). */
export function gatedDeltaNet(
  block: ProgramBuilder,
  x: Value,
  { net, place: { shape } }: { readonly net: DeltaNetShape; readonly place: MixerPlace },
): Value {
  const { keyHeads, valueHeads, keyDim, valueDim } = net;
  const project = (name: string, outFeatures: number): Value =>
    linear(block, x, { name: `linear_attn.in_proj_${name}`, outFeatures });
  const values = valueHeads * valueDim;
  const projected = project('qkv', 2 * keyHeads * keyDim + values);
  const z = project('z', values);
  const b = project('b', valueHeads);
  const a = project('a', valueHeads);
  const { q, k, v } = convolved(block, projected, net);
  const out = gatedDeltaRule(block, {
    q: l2Norm(block, q, { heads: keyHeads, epsilon: l2Epsilon, scale: 1 / Math.sqrt(keyDim) }),
    k: l2Norm(block, k, { heads: keyHeads, epsilon: l2Epsilon }),
    v,
    a,
    b,
    logDecay: 'linear_attn.A_log',
    offset: 'linear_attn.dt_bias',
    keyHeads,
    valueHeads,
  });
  // Its weight is not stored as how far it is from one, as that of the other norms is.
  const weight = 'linear_attn.norm.weight';
  const normed = rmsNorm(block, out, { weight, epsilon: shape.epsilon, heads: valueHeads });
  const gated = gatedActivation(block, { gate: z, up: normed, kind: 'silu' });
  return linear(block, gated, { name: 'linear_attn.out_proj', outFeatures: shape.hiddenSize });
}

function convolved(
  block: ProgramBuilder,
  projected: Value,
  { keyHeads, valueHeads, keyDim, valueDim, taps }: DeltaNetShape,
): { readonly q: Value; readonly k: Value; readonly v: Value } {
  const all = causalConvolution(block, projected, { weight: 'linear_attn.conv1d.weight', taps });
  const widths = [keyHeads * keyDim, keyHeads * keyDim, valueHeads * valueDim];
  const [q, k, v] = splitColumns(block, all, { widths });
  if (!q || !k || !v) throw new Error('three parts expected');
  return { q, k, v };
}
