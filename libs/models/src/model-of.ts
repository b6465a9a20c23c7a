import { ConfigReader } from './config.js';
import { internvl, internvlChat } from './internvl/index.js';
import { decoderModel, type ModelFamily, type ModelShape } from './model-shape.js';
import { decoders } from './shape-of.js';

const families: readonly ModelFamily[] = Object.freeze([
  ...decoders.map(decoderModel),
  internvl,
  internvlChat,
]);

/**
 * The model that a config.json describes.
 * @throws ModelError for an unknown architecture or an unsupported value.
 */
export function modelOf(config: Readonly<Record<string, unknown>>): ModelShape {
  const reader = new ConfigReader(config);
  const architectures = config['architectures'];
  const architecture: unknown = Array.isArray(architectures) ? architectures[0] : undefined;
  const family = families.find(({ architectures: known }) =>
    known.some((name) => name === architecture),
  );
  if (family) return family.shape(reader);
  const known = families.flatMap(({ architectures: names }) => names);
  throw reader.unknownArchitecture(architecture, known);
}
