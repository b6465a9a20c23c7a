import { decoderLayout } from './decoder.js';
import type { ModelLayout } from './layout.js';
import { shapeOf } from './shape-of.js';

/**
 * The layout that a config.json describes, with the first of the names that its family has in
 * checkpoints.
 * @throws ModelError for an unknown architecture or an unsupported value.
 */
export function layoutOf(config: Readonly<Record<string, unknown>>): ModelLayout {
  return decoderLayout(shapeOf(config));
}
