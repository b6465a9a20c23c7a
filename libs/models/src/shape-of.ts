import { ConfigReader, shown } from './config.js';
import type { DecoderFamily } from './decoder-family.js';
import type { DecoderShape } from './decoder-shape.js';
import { ModelError } from './errors.js';
import { gemma2 } from './gemma2/index.js';
import { gemma3, gemma3Wrapped } from './gemma3/index.js';
import { glm4 } from './glm4/index.js';
import { granite } from './granite/index.js';
import { internlm2 } from './internlm2/index.js';
import { internlm3 } from './internlm3/index.js';
import { llama } from './llama/index.js';
import { ministral3, mistral, mistral3 } from './mistral/index.js';
import { olmo2 } from './olmo2/index.js';
import { olmo3 } from './olmo3/index.js';
import { phi3 } from './phi3/index.js';
import { qwen2 } from './qwen2/index.js';
import { qwen3 } from './qwen3/index.js';
import { seedOss } from './seed-oss/index.js';
import { smollm3 } from './smollm3/index.js';

const families: readonly DecoderFamily[] = Object.freeze([
  gemma2,
  gemma3,
  gemma3Wrapped,
  glm4,
  granite,
  internlm2,
  internlm3,
  llama,
  ministral3,
  mistral,
  mistral3,
  olmo2,
  olmo3,
  phi3,
  qwen2,
  qwen3,
  seedOss,
  smollm3,
]);

/**
 * The decoder that a config.json describes.
 * @throws ModelError for an unknown architecture or an unsupported value.
 */
export function shapeOf(config: Readonly<Record<string, unknown>>): DecoderShape {
  const architectures = config['architectures'];
  const architecture: unknown = Array.isArray(architectures) ? architectures[0] : undefined;
  const family = families.find(({ architectures: known }) =>
    known.some((name) => name === architecture),
  );
  if (family) return family.shape(new ConfigReader(config));
  const known = families.flatMap(({ architectures: names }) => names).join(', ');
  throw new ModelError(
    'MODEL_UNKNOWN_ARCHITECTURE',
    `config.json: architecture ${shown(architecture ?? null)} is not supported (supported: ${known})`,
  );
}
