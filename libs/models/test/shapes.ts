import { at } from '@emloc/checked';

import { ConfigReader } from '../src/config.js';
import type { DecoderShape } from '../src/decoder-shape.js';
import { decoderIn } from '../src/shape-of.js';
import type { Config } from './checkpoints.js';

/** What every text family's config says at least. */
export const sizes = {
  hidden_size: 48,
  intermediate_size: 40,
  vocab_size: 56,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 256,
  rms_norm_eps: 1e-5,
};

/** The decoder that a config.json describes. */
export function shapeOf(config: Config): DecoderShape {
  return decoderIn(new ConfigReader(config));
}

/** The shape of a small config of an architecture. */
export function of(architecture: string, config: Config = {}): DecoderShape {
  return shapeOf({ architectures: [architecture], ...sizes, ...config });
}

/** The shape of a wrapper's config around a language model's. */
export function wrapped(architecture: string, text: Config, config: Config = {}): DecoderShape {
  return shapeOf({ architectures: [architecture], text_config: text, ...config });
}

/** What reading throws; null where it does not. */
export function refusal(read: () => unknown): unknown {
  try {
    read();
  } catch (error) {
    return error;
  }
  return null;
}

/** The first inverse frequency that depends on the base, by table. */
export const secondFrequencies = (
  { ropes }: DecoderShape,
  length = 8,
): Readonly<Record<string, number>> =>
  Object.fromEntries(
    [...ropes].map(([name, rope]) => [name, at(rope.frequencies(length).inverse, 1)]),
  );
