import { at } from '@emloc/checked';
import { sharedZeros, type HostArray } from '@emloc/device';

import type { StagedLayer, Staging } from './host-tier.js';
import { heldBytes, heldTensor, type LayerSource } from './source.js';

/**
 * Hands out zeros in place of weights, for a program that is run only to be counted. Holds no
 * page-locked memory.
 */
export class NoReads implements Staging {
  readonly heldBytes = 0;
  readonly holdsAll = true;
  /** As long as the largest tensor at least. */
  readonly #zeros: Uint8Array;

  constructor(private readonly source: LayerSource) {
    const lengths = source.layers.flatMap(({ tensors }) => tensors.map(heldBytes));
    this.#zeros = new Uint8Array(
      sharedZeros(lengths.reduce((longest, length) => Math.max(longest, length), 0)),
    );
  }

  stage(layer: number): StagedLayer {
    const tensors = at(this.source.layers, layer).tensors;
    const arrays = tensors.map((tensor): HostArray => ({
      bytes: this.#zeros.subarray(0, heldBytes(tensor)),
      dtype: heldTensor(tensor).dtype,
    }));
    return { arrays: Promise.resolve(arrays), [Symbol.dispose]: () => undefined };
  }

  trim(): void {}

  close(): Promise<void> {
    return Promise.resolve();
  }
}
