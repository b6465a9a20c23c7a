import { ConfigReader } from '../config.js';
import type { DiffusionLimits } from '../diffusion-limits.js';
import { ModelError } from '../errors.js';
import type { ModelLayout } from '../layout.js';
import { clipLayout, pooledLimits, readClip } from './clip.js';
import { readSchedule } from './read-schedule.js';
import { readTransformer } from './read-transformer.js';
import { readVae } from './read-vae.js';
import { featureWidth, patch } from './shape.js';
import { readT5, rowLimits, t5Layout } from './t5.js';
import { transformerLayout } from './transformer.js';
import { vaeDecoderLayout, vaeEncoderLayout } from './vae.js';

type Config = Readonly<Record<string, unknown>>;

/** Where each component has its config, within a folder of diffusers. */
export const configFiles = Object.freeze({
  transformer: 'transformer/config.json',
  clip: 'text_encoder/config.json',
  t5: 'text_encoder_2/config.json',
  vae: 'vae/config.json',
  scheduler: 'scheduler/scheduler_config.json',
});

export type FluxConfigs = Readonly<Record<keyof typeof configFiles, Config>>;

/** How names differ between files of the text encoders. */
export interface EncoderNames {
  /** Before all of CLIP's, with the dot. */
  readonly clipPrefix: string;
  /** T5's embedding. */
  readonly t5Table: string;
}

export const newestNames: EncoderNames = Object.freeze({
  clipPrefix: '',
  t5Table: 'shared.weight',
});

/** The chains of the components, and what they have to do with each other. */
export interface FluxLayouts {
  readonly transformer: ModelLayout;
  readonly clip: ModelLayout;
  readonly t5: ModelLayout;
  readonly vaeEncoder: ModelLayout;
  readonly vaeDecoder: ModelLayout;
  readonly limits: DiffusionLimits;
}

/** Rows of a prompt as the models were published; those without guidance are the few-step ones. */
const [guidedTokens, unguidedTokens] = [512, 256];

/**
 * The layouts that the configs of a folder describe.
 * @throws ModelError for values that are not supported, or that do not fit each other
 */
export function fluxLayouts(configs: FluxConfigs, names = newestNames): FluxLayouts {
  const readers = {
    transformer: readerOf(configs, 'transformer'),
    clip: readerOf(configs, 'clip'),
    t5: readerOf(configs, 't5'),
    vae: readerOf(configs, 'vae'),
  };
  onlyClass(readers.clip, 'CLIPTextModel');
  onlyClass(readers.t5, 'T5EncoderModel');
  const transformer = readTransformer(readers.transformer);
  const [clip, t5, vae] = [readClip(readers.clip), readT5(readers.t5), readVae(readers.vae)];
  const { promptWidth, pooledWidth, hasGuidance, ropeAxes, inChannels } = transformer;
  assertEqual(
    ['in_channels', inChannels],
    ['vae', 'latent_channels', vae.latentChannels * patch ** 2],
  );
  assertEqual(['joint_attention_dim', promptWidth], ['t5', 'd_model', t5.width]);
  assertEqual(['pooled_projection_dim', pooledWidth], ['clip', 'hidden_size', clip.width]);
  const limits: DiffusionLimits = {
    latentChannels: vae.latentChannels,
    pixelsPerLatent: 2 ** (vae.channels.length - 1),
    patch,
    promptWidth,
    pooledWidth,
    promptTokens: hasGuidance ? guidedTokens : unguidedTokens,
    hasGuidance,
    featureWidth,
    ropeAxes,
    scaling: vae.scaling,
    schedule: readSchedule(readerOf(configs, 'scheduler')),
    prompts: { pooled: pooledLimits(clip), rows: rowLimits(t5) },
  };
  return {
    transformer: transformerLayout(transformer, limits),
    clip: clipLayout(clip, names.clipPrefix),
    t5: t5Layout(t5, names.t5Table),
    vaeEncoder: vaeEncoderLayout(vae),
    vaeDecoder: vaeDecoderLayout(vae),
    limits,
  };
}

function readerOf(configs: FluxConfigs, component: keyof FluxConfigs): ConfigReader {
  return new ConfigReader(configs[component], '', configFiles[component]);
}

function onlyClass(config: ConfigReader, name: string): void {
  const architectures = config.get('architectures');
  const [found]: readonly unknown[] = Array.isArray(architectures) ? architectures : [name];
  if (found !== name) throw config.unknownArchitecture(found, [name]);
}

function assertEqual(
  [key, value]: readonly [key: string, value: number],
  [component, other, expected]: readonly [keyof FluxConfigs, key: string, expected: number],
): void {
  if (value === expected) return;
  throw new ModelError(
    'MODEL_INVALID_CONFIG',
    `${configFiles.transformer}: ${key} is ${value}, ${expected} follows from ${other} in ${configFiles[component]}`,
  );
}
