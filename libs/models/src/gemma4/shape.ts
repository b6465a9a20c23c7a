import type { DecoderLayer, DecoderShape } from '../decoder-shape.js';
import type { LayerType } from '../layer-types.js';

/** What the heads of a type of layer are. */
export interface Heads {
  readonly headDim: number;
  readonly kvHeads: number;
}

/** One layer. */
export interface Gemma4Layer extends DecoderLayer, Heads {
  readonly type: LayerType;
  readonly intermediateSize: number;
  /**
   * Where keys and values come from: two projections, one for both, or the layer of this index,
   * which made them.
   */
  readonly keysAndValues: 'apart' | 'equal' | { readonly of: number };
  /** Whether later layers read its keys and values. */
  readonly isSource: boolean;
  /** Its index where it has inputs of its own; null: there are none. */
  readonly inputs: number | null;
}

/** A table of inputs for every layer, beside the embedding. */
export interface LayerInputs {
  /** Tokens. */
  readonly entries: number;
  /** Of each layer's input. */
  readonly width: number;
}

export interface Gemma4Shape extends DecoderShape {
  readonly layers: readonly Gemma4Layer[];
  /** null: layers have no inputs of their own. */
  readonly layerInputs: LayerInputs | null;
}

/** The streams of a chain beside those of every decoder. */
export const gemma4Streams = Object.freeze({
  /** Rows of the table of all layers' inputs, which batches bring: (tokens, layers · width). */
  lookedUp: 'layerInputs',
  /** What a layer of this index gets of them: (tokens, width). */
  input: (layer: number) => `layerInput.${layer}`,
  /** Of a layer that others share them with: (tokens, kvHeads · headDim). */
  keys: (layer: number) => `keys.${layer}`,
  values: (layer: number) => `values.${layer}`,
});
