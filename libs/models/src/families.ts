import { ConfigReader, shown } from './config.js';
import type { DecoderShape } from './decoder-shape.js';
import { decoderLayout } from './decoder.js';
import { ModelError } from './errors.js';
import type { ModelFamily } from './family.js';
import type { ModelLayout } from './layout.js';
import { llama } from './llama/index.js';
import { qwen2 } from './qwen2/index.js';

const modelFamilies: readonly ModelFamily[] = Object.freeze([llama, qwen2]);

/**
 * The layout that a config.json describes.
 * @throws ModelError for an unknown architecture or an unsupported value.
 */
export function layoutOf(config: Readonly<Record<string, unknown>>): ModelLayout {
  return decoderLayout(shapeOf(config));
}

/** The shape of the decoder that a config.json describes. @throws ModelError likewise */
export function shapeOf(config: Readonly<Record<string, unknown>>): DecoderShape {
  const architectures = config['architectures'];
  const architecture: unknown = Array.isArray(architectures) ? architectures[0] : undefined;
  const family = modelFamilies.find(({ architectures: known }) =>
    known.some((name) => name === architecture),
  );
  if (!family) {
    const known = modelFamilies.flatMap(({ architectures: names }) => names).join(', ');
    throw new ModelError(
      'MODEL_UNKNOWN_ARCHITECTURE',
      `config.json: architecture ${shown(architecture ?? null)} is not supported (supported: ${known})`,
    );
  }
  return family.shape(new ConfigReader(config));
}
