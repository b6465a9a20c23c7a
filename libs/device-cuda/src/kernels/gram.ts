import type { GramOptions, Tensor } from '@emloc/device';

import {
  addressOf,
  expectDType,
  expectShape,
  roundUp,
  withScratch,
  type CudaContext,
} from '../context.js';
import { floating, matrix, multiply } from '../multiply.js';
import type { Floating } from '../product.js';

/** Rows of the statistic that gram computes at once. */
const panelRows = 1024;
const threads = 256;

/**
 * out += xᵀ x in panels of rows, the part up to the diagonal only, then mirrored. float32 products;
 * sums in float32 inside cuBLAS, or in float64 by a pass over a scratch panel.
 */
export function gram(context: CudaContext, { x, out }: GramOptions): void {
  const [rows, n] = matrix(x);
  expectShape('gram', out, [n, n]);
  const dtype = expectDType('gram', floating, x);
  const outDType = expectDType('gram', ['float32', 'float64'] as const, out);
  if (rows === 0 || n === 0) return;
  const isDirect = outDType === 'float32' || dtype === 'float64';
  for (let first = 0; first < n; first += panelRows) {
    const end = Math.min(first + panelRows, n);
    if (isDirect)
      multiplyPanel(context, x, first, end, {
        address: addressOf(context, out) + first * n * (outDType === 'float32' ? 4 : 8),
        stride: n,
        dtype: outDType,
        beta: 1,
      });
    else accumulatePanel(context, x, out, first, end);
  }
  context.launcher
    .begin()
    .pointer(addressOf(context, out))
    .pointer(n)
    .int32(1)
    .launch('gram', `upper_triangle_${outDType}`, {
      grid: [Math.ceil((n * n) / threads)],
      block: threads,
    });
}

/** Scratch bytes of `gram`: one panel of float32 products where the sums are float64. */
export function gramScratchBytes({ x, out }: GramOptions): number {
  const n = out.dim(0);
  return out.dtype === 'float32' || x.dtype === 'float64'
    ? 0
    : roundUp(Math.min(panelRows, n) * n * 4);
}

function accumulatePanel(
  context: CudaContext,
  x: Tensor,
  out: Tensor,
  first: number,
  end: number,
): void {
  const n = out.dim(0);
  withScratch(context, gramScratchBytes({ x, out }), (scratch) => {
    multiplyPanel(context, x, first, end, {
      address: scratch,
      stride: end,
      dtype: 'float32',
      beta: 0,
    });
    const count = (end - first) * end;
    context.launcher
      .begin()
      .pointer(scratch)
      .pointer(addressOf(context, out) + first * n * 8)
      .pointer(end - first)
      .pointer(end)
      .pointer(n)
      .launch('gram', 'accumulate_float64', {
        grid: [Math.ceil(count / threads)],
        block: threads,
      });
  });
}

interface PanelTarget {
  readonly address: number;
  readonly stride: number;
  readonly dtype: 'float32' | 'float64';
  readonly beta: number;
}

/** Rows [first, end) of xᵀ x, columns [0, end). */
function multiplyPanel(
  context: CudaContext,
  x: Tensor,
  first: number,
  end: number,
  target: PanelTarget,
): void {
  const [rows, n] = matrix(x);
  const dtype = x.dtype as Floating;
  const address = addressOf(context, x);
  const elementBytes = x.byteLength / x.size;
  multiply(context, {
    m: end,
    n: end - first,
    k: rows,
    alpha: 1,
    beta: target.beta,
    dtype,
    outDType: target.dtype,
    left: { address, transposed: false, stride: n },
    right: { address: address + first * elementBytes, transposed: true, stride: n },
    out: target,
  });
}
