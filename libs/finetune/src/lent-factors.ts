import type { BlockCopy, Tensor } from '@emloc/device';
import { factorNames, type Block } from '@emloc/models';

import type { DeviceAdapter } from './device-adapter.js';
import type { PagedModel } from './paged-model.js';

/**
 * Factors of one block whose zero columns and rows, there to fill up the stored rank, hold the
 * block's adapters for a while: products with the factors then include the adapters, which would
 * else take four more products a layer.
 */
export interface LentFactors {
  /** First column of U and row of V that hold the layer's adapter; null where there is no room. */
  at(linear: string): number | null;
  /** Makes the lent columns and rows zero again; must come before the block's lease is released. */
  takeBack(): void;
}

interface BlockInputs {
  readonly model: PagedModel;
  readonly adapter: DeviceAdapter;
  readonly block: Block;
  /** The block's leased tensors. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/**
 * Writes a block's adapters into the spare columns and rows of its factors. It depends on shapes
 * alone which layers have room.
 */
export function lendFactors({ model, adapter, block, tensors }: BlockInputs): LentFactors {
  const places = new Map<string, number>();
  const copies: BlockCopy[] = [];
  for (const { name } of block.program.linears) {
    const binding = adapter.binding(block, name);
    const rank = model.rankOf?.(adapter.pathOf(block, name)) ?? null;
    const names = factorNames(name);
    const [u, v] = [tensors.get(names.u), tensors.get(names.v)];
    if (!binding || rank === null || !u || !v) continue;
    const [storedRank, inFeatures] = [v.dim(0), v.dim(1)];
    // The last ones: stored ranks are round numbers, so that accesses to the adapter's columns are
    // aligned.
    const place = storedRank - binding.rank;
    if (place < rank) continue;
    places.set(name, place);
    copies.push({ x: binding.a, columns: inFeatures, out: v, outRow: place });
    copies.push({
      x: binding.b,
      columns: binding.rank,
      out: u,
      outColumn: place,
      scale: binding.scale,
    });
  }
  const { kernels } = model.device;
  if (copies.length > 0) kernels.copyBlocks({ copies });
  return {
    at: (linear) => places.get(linear) ?? null,
    takeBack: () => {
      if (copies.length > 0)
        kernels.copyBlocks({ copies: copies.map((copy) => ({ ...copy, scale: 0 })) });
    },
  };
}
