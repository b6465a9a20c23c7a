import type { ChainParts } from './chain-parts.js';
import type { ConfigReader } from './config.js';
import type { DecoderNames, DecoderShape } from './decoder-shape.js';

/** One family of dense decoders: reads a config and says what the model is made of. */
export interface DecoderFamily<S extends DecoderShape = DecoderShape> {
  readonly name: string;
  /** Values of `architectures[0]` in config.json. */
  readonly architectures: readonly string[];
  /** @throws ModelError naming any key whose value would change the result and is not supported. */
  shape(config: ConfigReader): S;
  /** What its chain has in place of a plain decoder's. Absent: nothing. */
  parts?(shape: S, names: DecoderNames): ChainParts;
}
