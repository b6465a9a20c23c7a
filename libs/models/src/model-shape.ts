import type { ConfigReader } from './config.js';
import type { DecoderFamily } from './decoder-family.js';
import type { DecoderNames, DecoderShape } from './decoder-shape.js';
import { decoderLayout } from './decoder.js';
import type { ModelLayout } from './layout.js';

/** What a config.json says of a model; its checkpoint says the rest. */
export interface ModelShape {
  /** Of its decoder in checkpoints: those count whose embedding is there. */
  readonly names: readonly DecoderNames[];
  /** Whether the head is the embedding. */
  readonly tiedHead: boolean;
  /**
   * Who says whether the head is the embedding: config.json, where a checkpoint that has another
   * head is worth a warning; or the checkpoint alone, by whether it has a head.
   */
  readonly tiedBy: 'config' | 'checkpoint';
  layout(found: { readonly names: DecoderNames; readonly tiedHead: boolean }): ModelLayout;
}

/** One family of models: reads a config and says what the model is made of. */
export interface ModelFamily {
  readonly name: string;
  /** Values of `architectures[0]` in config.json. */
  readonly architectures: readonly string[];
  /** @throws ModelError naming any key whose value would change the result and is not supported. */
  shape(config: ConfigReader): ModelShape;
}

/** A family that is a decoder and nothing else. */
export function decoderModel(family: DecoderFamily): ModelFamily {
  const { name, architectures } = family;
  return { name, architectures, shape: (config) => ofDecoder(family.shape(config), family) };
}

function ofDecoder(shape: DecoderShape, family: DecoderFamily): ModelShape {
  const { names, tiedHead } = shape;
  return {
    names,
    tiedHead,
    tiedBy: 'config',
    layout: ({ names: found, tiedHead: isTied }) =>
      decoderLayout({ ...shape, tiedHead: isTied }, found, family.parts?.(shape, found)),
  };
}
