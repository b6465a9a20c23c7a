import { setImmediate as nextTurn } from 'node:timers/promises';
import { at } from '@emloc/checked';

import type { LayerSource } from '../src/index.js';

/** Value of element `index`: tells apart every element of every tensor of every layer. */
export function weightValue(layer: number, tensor: number, index: number): number {
  return layer * 1000 + tensor * 100 + index;
}

/**
 * A source of float32 vectors whose reads take a random number of turns and fill their destination
 * piece by piece.
 */
export class SimulatedSource implements LayerSource {
  readonly layers;
  /** Read calls by layer. */
  readonly reads: number[];
  runningReads = 0;
  /** Called before each read; may throw or wait. */
  onRead: (layer: number) => Promise<void> | void = () => undefined;

  /** @param lengths of the tensors of each layer. */
  constructor(
    private readonly lengths: readonly (readonly number[])[],
    private readonly random: () => number,
  ) {
    this.layers = lengths.map((tensors, layer) => ({
      name: `layers.${layer}`,
      tensors: tensors.map((length, index) => ({
        name: `w${index}`,
        shape: [length],
        dtype: 'float32' as const,
      })),
    }));
    this.reads = lengths.map(() => 0);
  }

  async read(layer: number, tensor: string, destination: Uint8Array): Promise<void> {
    this.runningReads += 1;
    this.reads[layer] = at(this.reads, layer) + 1;
    try {
      await this.onRead(layer);
      const values = new Float32Array(
        destination.buffer,
        destination.byteOffset,
        destination.byteLength / 4,
      );
      const index = Number(tensor.slice(1));
      if (values.length !== at(this.lengths, layer)[index])
        throw new Error(`${tensor}: room for ${values.length} values`);
      for (let element = 0; element < values.length; element += 1) {
        if (this.random() < 0.2) await nextTurn();
        values[element] = weightValue(layer, index, element);
      }
    } finally {
      this.runningReads -= 1;
    }
  }
}
