import { at } from '@emloc/checked';

import type { ModelLayout } from './layout.js';
import { modelOf } from './model-of.js';

/**
 * The layout that a config.json describes, with the first of the names that its family has in
 * checkpoints.
 * @throws ModelError for an unknown architecture or an unsupported value.
 */
export function layoutOf(config: Readonly<Record<string, unknown>>): ModelLayout {
  const { names, tiedHead, layout } = modelOf(config);
  return layout({ names: at(names, 0), tiedHead });
}
