import { at } from '@emloc/checked';
import type { AttentionOptions, Kernels, Tensor } from '@emloc/device';

import type { AttentionCache } from '../bindings.js';
import type { ProgramBuilder } from '../program.js';
import type { Value } from '../value.js';

export interface AttentionShape extends Pick<
  AttentionOptions,
  'heads' | 'kvHeads' | 'scale' | 'mask' | 'softCap'
> {
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
  /** Name of a parameter (heads): a logit in each softmax whose share is dropped. Default: none. */
  readonly sinks?: string;
  /**
   * (2 · reach + 1, heads): what is added to scores by relative position, the rows being distances
   * from −reach to reach, which stand for all beyond them, too. Such an attention has no backward
   * and no cache. Default: none.
   */
  readonly relativeBias?: Value;
  /**
   * Where keys and values that another block made are attended to, here or there: the cache that
   * both use, and whether they are written here. Default: a cache of its own.
   */
  readonly cache?: { readonly name: string; readonly isWritten: boolean };
}

/**
 * Softmax attention within each sequence, no scores stored (FlashAttention, arXiv 2205.14135).
 * Where rows look back only, a cache can be bound: keys and values are written there, and rows that
 * go on attend to what it has.
 */
export function attention(block: ProgramBuilder, shape: AttentionShape): Value {
  const { q, k, v, sinks, heads, relativeBias } = shape;
  const sinksName = sinks === undefined ? null : block.parameter(sinks, [heads]);
  const out = block.value(q.width, q.rows);
  const { kvHeads, scale, mask, softCap } = shape;
  const options = { heads, kvHeads, scale, mask, softCap };
  const isCacheless = mask?.kind === 'none' || relativeBias !== undefined;
  const { isWritten, ...named } = shape.cache ?? { isWritten: true };
  const cacheIndex = isCacheless
    ? null
    : block.cache({ width: k.width, rows: k.rows, isWritten, ...named });
  block.add({
    name: 'attention',
    inputs: [q, k, v, ...(relativeBias ? [relativeBias] : [])],
    outputs: [out],
    isCheap: false,
    isForwardOnly: relativeBias !== undefined,
    saves: () => [q, k, v, out],
    leavesAux: () => true,

    forward(context) {
      const { bindings } = context;
      const { kernels } = bindings.device;
      const cache = cacheIndex === null ? undefined : bindings.cache?.(cacheIndex);
      const sinkLogits = sinksName === null ? undefined : bindings.parameter(sinksName);
      const operands = { q: context.get(q), k: context.get(k), v: context.get(v) };
      if (cache && isWritten) write(kernels, operands, cache);
      const attended = { ...options, sinks: sinkLogits, out: context.create(out) };
      if (cache?.layout) {
        const { keys, values, layout } = cache;
        kernels.decodeAttention({ ...attended, q: operands.q, keys, values, cache: layout });
        return;
      }
      const logSumExp = context.aux([heads, context.rows(q)], 'float32', 'attention.logSumExp');
      const sequences = bindings.layout(q.rows);
      const bias = relativeBias && context.get(relativeBias);
      kernels.attention({ ...attended, ...operands, logSumExp, sequences, relativeBias: bias });
    },

    backward(context) {
      const [logSumExp] = context.aux;
      const inputs = [q, k, v];
      if (!logSumExp || !inputs.some((value) => context.needsGradient(value))) return;
      const gradients = context.own(inputs);
      const { bindings } = context;
      bindings.device.kernels.attentionBackward({
        ...options,
        q: context.get(q),
        k: context.get(k),
        v: context.get(v),
        out: context.get(out),
        dOut: context.dOut,
        logSumExp,
        sequences: bindings.layout(q.rows),
        sinks: sinksName === null ? undefined : bindings.parameter(sinksName),
        dQ: at(gradients, 0),
        dK: at(gradients, 1),
        dV: at(gradients, 2),
      });
    },
  });
  return out;
}

/** Leaves keys and values where the cache has a place for them. */
function write(
  kernels: Kernels,
  { k, v }: { readonly k: Tensor; readonly v: Tensor },
  { keys, values, rows }: AttentionCache,
): void {
  kernels.scatterRows({ x: k, rows, out: keys });
  kernels.scatterRows({ x: v, rows, out: values });
}
