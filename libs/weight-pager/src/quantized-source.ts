import { at } from '@emloc/checked';
import { byteLength, type QuantizedFormat } from '@emloc/device';
import pLimit from 'p-limit';

import { quantize } from './quantize/quantize.js';
import type { LayerSource, TensorSpec } from './source.js';

/** Tensors that are quantised at once: each is in host memory as a whole meanwhile. */
const concurrentTensors = 2;

/** What of a source is kept small, and how. */
export interface QuantizedTensors {
  readonly format: QuantizedFormat;
  /** @param layer index in the source */
  includes(layer: number, tensor: TensorSpec): boolean;
}

/**
 * A source some of whose tensors are quantised as they are read. Their numbers are those of the
 * codes: the same at every read.
 */
export function quantizedSource(
  base: LayerSource,
  { format, includes }: QuantizedTensors,
): LayerSource {
  const limit = pLimit(concurrentTensors);
  const layers = base.layers.map(({ name, tensors }, layer) => ({
    name,
    tensors: tensors.map((tensor): TensorSpec =>
      includes(layer, tensor) ? { ...tensor, storage: format } : tensor,
    ),
  }));
  const quantized = layers.map(
    ({ tensors }) =>
      new Map(tensors.filter(({ storage }) => storage).map((spec) => [spec.name, spec])),
  );
  return {
    layers,
    read: (layer, tensor, destination) => {
      const spec = at(quantized, layer).get(tensor);
      if (!spec) return base.read(layer, tensor, destination);
      const { shape, dtype } = spec;
      return limit(async () => {
        const bytes = new Uint8Array(byteLength(shape, dtype));
        await base.read(layer, tensor, bytes);
        await quantize({ bytes, dtype }, format, destination);
      });
    },
  };
}
