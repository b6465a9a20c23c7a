import type { ConfigReader } from './config.js';
import type { DecoderFamily } from './decoder-family.js';
import type { DecoderShape } from './decoder-shape.js';
import { gemma2 } from './gemma2/index.js';
import { gemma3, gemma3Wrapped } from './gemma3/index.js';
import { gemma4, gemma4Unified, gemma4UnifiedWrapped, gemma4Wrapped } from './gemma4/index.js';
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
import { qwen35, qwen35Wrapped } from './qwen3_5/index.js';
import { qwen3 } from './qwen3/index.js';
import { seedOss } from './seed-oss/index.js';
import { smollm3 } from './smollm3/index.js';

export const decoders: readonly DecoderFamily[] = Object.freeze([
  gemma2,
  gemma3,
  gemma3Wrapped,
  gemma4,
  gemma4Unified,
  gemma4UnifiedWrapped,
  gemma4Wrapped,
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
  qwen35,
  qwen35Wrapped,
  seedOss,
  smollm3,
]);

/** Those that transformers has by this type, with the names of every plain decoder. */
const wrappable: readonly DecoderFamily[] = Object.freeze([llama, mistral, phi3, qwen2, qwen3]);

/**
 * The decoder that a config describes: a config.json, or the part of one.
 * @throws ModelError for an unknown architecture or an unsupported value.
 */
export function decoderIn(config: ConfigReader): DecoderShape {
  const architectures = config.get('architectures');
  const architecture: unknown = Array.isArray(architectures) ? architectures[0] : undefined;
  const family = decoders.find(({ architectures: known }) =>
    known.some((name) => name === architecture),
  );
  if (family) return family.shape(config);
  const known = decoders.flatMap(({ architectures: names }) => names);
  throw config.unknownArchitecture(architecture, known);
}

/**
 * The decoder that a part of a config names by its `model_type`, as transformers does.
 * @throws ModelError MODEL_UNSUPPORTED_CONFIG for a type that is none of transformers' decoders
 */
export function decoderOfType(config: ConfigReader, fallback: string): DecoderShape {
  const type = config.has('model_type') ? config.get('model_type') : fallback;
  const family = wrappable.find(({ name }) => name === type);
  if (family) return family.shape(config);
  const known = wrappable.map(({ name }) => JSON.stringify(name));
  throw config.unsupported('model_type', `only ${known.join(', ')}`);
}
