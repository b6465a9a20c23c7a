import { at } from '@emloc/checked';
import type { KernelName, KernelOptions, SequenceLayout, Tensor } from '@emloc/device';

import {
  assertAtLeast,
  assertCount,
  assertEqualSizes,
  assertLive,
  assertShape,
  lastExtent,
  matrix,
} from './shape.js';

/**
 * What one launch costs: floating-point operations, and bytes of its operands read and written once
 * each.
 */
export interface Work {
  readonly flops: number;
  readonly bytes: number;
}

/** The work of all launches of one kernel. */
export interface KernelWork extends Work {
  readonly calls: number;
}

/** Checks the operands of a launch and says what it costs. @throws DeviceError */
export type WorkModel = { readonly [K in KernelName]: (options: KernelOptions<K>) => Work };

function bytesOf(...tensors: readonly Tensor[]): number {
  return tensors.reduce((sum, tensor) => sum + tensor.byteLength, 0);
}

/**
 * Work of a kernel that touches each operand once and does `flopsPerElement` for each element of
 * `tensor`.
 */
function streaming(tensor: Tensor, flopsPerElement: number, operands: readonly Tensor[]): Work {
  assertLive(...operands);
  return { flops: flopsPerElement * tensor.size, bytes: bytesOf(...operands) };
}

/** Query-key pairs of causal attention: Σ L (L + 1) / 2 over the sequences. */
function causalPairs({ offsets }: SequenceLayout): number {
  let pairs = 0;
  for (let i = 1; i < offsets.length; i += 1) {
    const length = at(offsets, i) - at(offsets, i - 1);
    pairs += (length * (length + 1)) / 2;
  }
  return pairs;
}

/** Operands that attention and its backward share. Returns the length of a head. */
function checkAttention(
  kernel: 'attention' | 'attentionBackward',
  options: KernelOptions<'attention'>,
): number {
  const { q, k, v, out, logSumExp, sequences, heads, kvHeads } = options;
  const [rows, width] = matrix(kernel, q);
  const headLength = width / heads;
  assertLive(q, k, v, out, logSumExp, sequences.deviceOffsets, sequences.positions);
  assertShape(kernel, k, [rows, kvHeads * headLength]);
  assertShape(kernel, v, [rows, kvHeads * headLength]);
  assertShape(kernel, out, [rows, width]);
  assertShape(kernel, logSumExp, [heads, rows]);
  assertShape(kernel, sequences.deviceOffsets, [sequences.offsets.length]);
  assertCount(kernel, 'last sequence offset', sequences.offsets.at(-1) ?? 0, rows);
  return headLength;
}

/**
 * Matrix products are counted as 2 m n k; causal attention by its query-key pairs, two products
 * forward and five backward (scores again, dP, dV, dQ, dK); eigh as 9 n³ and cholesky as n³ / 3
 * (Golub and Van Loan, Matrix Computations, 4.2 and 8.3). The elementwise kernels are bound by
 * memory: their flops are nominal.
 */
export const workModel: WorkModel = Object.freeze({
  gemm({ a, b, out, transposeA, transposeB, accumulate }) {
    assertLive(a, b, out);
    const [aRows, aColumns] = matrix('gemm', a);
    const [m, k] = transposeA ? [aColumns, aRows] : [aRows, aColumns];
    const [, n] = matrix('gemm', out);
    assertShape('gemm', b, transposeB ? [n, k] : [k, n]);
    assertShape('gemm', out, [m, n]);
    return { flops: 2 * m * n * k, bytes: bytesOf(a, b, out) + (accumulate ? bytesOf(out) : 0) };
  },

  rmsNorm({ x, weight, out, inverseRms }) {
    assertShape('rmsNorm', weight, [lastExtent(x)]);
    assertShape('rmsNorm', out, x.shape);
    assertShape('rmsNorm', inverseRms, x.shape.slice(0, -1));
    return streaming(x, 4, [x, weight, out, inverseRms]);
  },

  rmsNormBackward({ dOut, x, weight, inverseRms, dX, accumulate, out }) {
    assertShape('rmsNormBackward', weight, [lastExtent(x)]);
    assertShape('rmsNormBackward', dOut, x.shape);
    assertShape('rmsNormBackward', dX, x.shape);
    assertShape('rmsNormBackward', inverseRms, x.shape.slice(0, -1));
    if (out) assertShape('rmsNormBackward', out, x.shape);
    return streaming(x, 8, [
      dOut,
      x,
      weight,
      inverseRms,
      dX,
      ...(accumulate ? [dX] : []),
      ...(out ? [out] : []),
    ]);
  },

  rope({ x, out, cos, sin, positions, heads }) {
    const [rows, width] = matrix('rope', x);
    const [tableRows] = matrix('rope', cos);
    assertLive(cos, sin);
    assertShape('rope', out, x.shape);
    assertShape('rope', cos, [tableRows, width / heads / 2]);
    assertShape('rope', sin, cos.shape);
    assertShape('rope', positions, [rows]);
    return streaming(x, 3, [x, out, positions]);
  },

  attention(options) {
    const headLength = checkAttention('attention', options);
    const { q, k, v, out, logSumExp, sequences, heads } = options;
    return {
      flops: 4 * headLength * heads * causalPairs(sequences),
      bytes: bytesOf(q, k, v, out, logSumExp),
    };
  },

  attentionBackward(options) {
    const headLength = checkAttention('attentionBackward', options);
    const { q, k, v, out, dOut, dQ, dK, dV, logSumExp, sequences, heads } = options;
    assertLive(dOut, dQ, dK, dV);
    assertShape('attentionBackward', dOut, out.shape);
    assertShape('attentionBackward', dQ, q.shape);
    assertShape('attentionBackward', dK, k.shape);
    assertShape('attentionBackward', dV, v.shape);
    const bytes = bytesOf(q, k, v, out, dOut, dQ, dK, dV, logSumExp);
    return { flops: 10 * headLength * heads * causalPairs(sequences), bytes };
  },

  swiglu({ gate, up, out }) {
    assertEqualSizes('swiglu', gate, up, out);
    return streaming(out, 5, [gate, up, out]);
  },

  swigluBackward({ dOut, gate, up, dGate, dUp, out }) {
    const operands = [dOut, gate, up, dGate, dUp, ...(out ? [out] : [])];
    assertEqualSizes('swigluBackward', gate, ...operands);
    return streaming(dOut, 10, operands);
  },

  embedding({ table, rows, out }) {
    const [, width] = matrix('embedding', table);
    assertLive(table);
    assertShape('embedding', out, [rows.size, width]);
    return streaming(out, 0, [rows, out, out]);
  },

  scatterRows({ x, rows, out }) {
    const [, width] = matrix('scatterRows', out);
    assertLive(out);
    assertShape('scatterRows', x, [rows.size, width]);
    return streaming(x, 0, [rows, x, x]);
  },

  copyBlocks({ copies }) {
    let elements = 0;
    for (const { x, xColumn = 0, columns, out, outRow = 0, outColumn = 0 } of copies) {
      assertLive(x, out);
      const [[rows, width], [outRows, outWidth]] = [
        matrix('copyBlocks', x),
        matrix('copyBlocks', out),
      ];
      assertAtLeast('copyBlocks', x, [rows, width], [rows, xColumn + columns]);
      assertAtLeast('copyBlocks', out, [outRows, outWidth], [outRow + rows, outColumn + columns]);
      elements += rows * columns;
    }
    return { flops: elements, bytes: 6 * elements };
  },

  outerProducts({ products }) {
    let [flops, bytes] = [0, 0];
    for (const { left, leftColumn = 0, leftColumns, right, out, transposeOut } of products) {
      assertLive(left, right, out);
      const [[rows, width], [, columns]] = [
        matrix('outerProducts', left),
        matrix('outerProducts', right),
      ];
      assertAtLeast('outerProducts', left, [rows, width], [rows, leftColumn + leftColumns]);
      assertShape('outerProducts', right, [rows, columns]);
      assertShape(
        'outerProducts',
        out,
        transposeOut ? [columns, leftColumns] : [leftColumns, columns],
      );
      flops += 2 * rows * leftColumns * columns;
      bytes += bytesOf(right, out, out) + (leftColumns / Math.max(1, width)) * left.byteLength;
    }
    return { flops, bytes };
  },

  crossEntropy({ logits, targets, loss, prediction, gradientScale }) {
    const [rows] = matrix('crossEntropy', logits);
    assertShape('crossEntropy', targets, [rows]);
    assertShape('crossEntropy', loss, [rows]);
    assertShape('crossEntropy', prediction, [rows]);
    const written = gradientScale === undefined ? [] : [logits];
    return streaming(logits, 5, [logits, targets, loss, prediction, ...written]);
  },

  add({ x, out }) {
    assertShape('add', x, out.shape);
    return streaming(out, 2, [x, out, out]);
  },

  addBias({ bias, out }) {
    assertShape('addBias', bias, [lastExtent(out)]);
    return streaming(out, 1, [bias, out, out]);
  },

  fill({ out }) {
    return streaming(out, 0, [out]);
  },

  cast({ x, out }) {
    assertEqualSizes('cast', x, out);
    return streaming(x, 0, [x, out]);
  },

  scale({ x, scale, along, out }) {
    const [rows, columns] = matrix('scale', x);
    assertShape('scale', scale, [along === 'rows' ? rows : columns]);
    assertShape('scale', out, x.shape);
    return streaming(x, 1, [x, scale, out]);
  },

  squaredNorms({ tensors, out }) {
    assertShape('squaredNorms', out, [tensors.length]);
    const elements = tensors.reduce((sum, tensor) => sum + tensor.size, 0);
    assertLive(...tensors, out);
    return { flops: 2 * elements, bytes: bytesOf(...tensors, out) };
  },

  adamw({ parameters, gradients, firstMoments, secondMoments, squaredGradientNorms }) {
    assertCount('adamw', 'gradients', gradients.length, parameters.length);
    assertCount('adamw', 'firstMoments', firstMoments.length, parameters.length);
    assertCount('adamw', 'secondMoments', secondMoments.length, parameters.length);
    assertShape('adamw', squaredGradientNorms, [gradients.length]);
    let elements = 0;
    parameters.forEach((parameter, index) => {
      const state = [gradients, firstMoments, secondMoments].map((list) => at(list, index));
      for (const tensor of state) assertShape('adamw', tensor, parameter.shape);
      assertLive(parameter, ...state);
      elements += parameter.size;
    });
    assertLive(squaredGradientNorms);
    // Reads parameter, gradient and two moments; writes parameter and moments: seven float32 an
    // element.
    return { flops: 12 * elements, bytes: 28 * elements };
  },

  gram({ x, out }) {
    const [rows, columns] = matrix('gram', x);
    assertLive(x, out);
    assertShape('gram', out, [columns, columns]);
    return { flops: 2 * rows * columns * columns, bytes: bytesOf(x, out, out) };
  },

  eigh({ a, values }) {
    const [n] = matrix('eigh', a);
    assertLive(a, values);
    assertShape('eigh', a, [n, n]);
    assertShape('eigh', values, [n]);
    return { flops: 9 * n ** 3, bytes: bytesOf(a, a, values) };
  },

  cholesky({ a }) {
    const [n] = matrix('cholesky', a);
    assertLive(a);
    assertShape('cholesky', a, [n, n]);
    return { flops: n ** 3 / 3, bytes: bytesOf(a, a) };
  },
} satisfies WorkModel);
