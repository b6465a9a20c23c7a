import { readActivation } from '../common.js';
import type { ConfigReader } from '../config.js';
import { ModelError } from '../errors.js';
import type { VisionShape } from './shape.js';

/** What a class has for keys that a vision_config leaves out, and how it calls them. */
interface VisionDefaults {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly norm: 'layer_norm' | 'rms_norm';
  readonly imageSize: number;
  readonly biasKey: string;
  readonly qkNormKey: string;
  readonly qkNorm: boolean;
  /** Of the norms of q and k; null: the blocks'. */
  readonly qkEpsilon: number | null;
}

/** Of InternVisionConfig. */
export const originalTower = Object.freeze<VisionDefaults>({
  hiddenSize: 3200,
  intermediateSize: 12_800,
  layers: 48,
  heads: 25,
  norm: 'rms_norm',
  imageSize: 224,
  biasKey: 'qkv_bias',
  qkNormKey: 'qk_normalization',
  qkNorm: true,
  qkEpsilon: null,
});

/** Of InternVLVisionConfig. */
export const convertedTower = Object.freeze<VisionDefaults>({
  hiddenSize: 1024,
  intermediateSize: 4096,
  layers: 24,
  heads: 16,
  norm: 'layer_norm',
  imageSize: 448,
  biasKey: 'attention_bias',
  qkNormKey: 'use_qk_norm',
  qkNorm: false,
  // transformers' default, whatever layer_norm_eps says.
  qkEpsilon: 1e-6,
});

/** Far above every tower's. */
const mostLayers = 10_000;
const mostHeads = 2 ** 16;
/** Far above every tile's and every patch's side. */
const mostPixels = 2 ** 14;
/** Patches of a tile, so that streams of integers can name them. */
const mostPatches = 2 ** 20;

/** What a tower's config alone says. */
export type TowerShape = Omit<VisionShape, 'blocks' | 'shuffleSize' | 'projectorActivation'> & {
  readonly layers: number;
  readonly imageSize: number;
};

/** @throws ModelError naming any key whose value would change the result and is not supported */
export function readTower(config: ConfigReader, defaults: VisionDefaults): TowerShape {
  config.only('num_channels', [3]);
  const hiddenSize = config.positiveInteger('hidden_size', defaults.hiddenSize);
  const heads = config.positiveInteger('num_attention_heads', defaults.heads, { most: mostHeads });
  if (hiddenSize % heads !== 0)
    throw new ModelError(
      'MODEL_INVALID_CONFIG',
      `config.json: vision_config.hidden_size ${hiddenSize} is no multiple of num_attention_heads ${heads}`,
    );
  const epsilon = config.number('layer_norm_eps', 1e-6, { least: Number.MIN_VALUE, most: 1 });
  return {
    hiddenSize,
    heads,
    intermediateSize: config.positiveInteger('intermediate_size', defaults.intermediateSize),
    layers: config.positiveInteger('num_hidden_layers', defaults.layers, { most: mostLayers }),
    norm: readNorm(config, defaults.norm),
    epsilon,
    qkvBias: config.boolean(defaults.biasKey, false),
    qkNorm: config.boolean(defaults.qkNormKey, defaults.qkNorm),
    qkEpsilon: defaults.qkEpsilon ?? epsilon,
    activation: readActivation(config, 'hidden_act', 'gelu'),
    ...readGrid(config, defaults.imageSize),
  };
}

function readNorm(config: ConfigReader, fallback: VisionDefaults['norm']): VisionShape['norm'] {
  config.only('norm_type', ['layer_norm', 'rms_norm']);
  const name = config.has('norm_type') ? config.get('norm_type') : fallback;
  return name === 'rms_norm' ? 'rmsNorm' : 'layerNorm';
}

function readGrid(
  config: ConfigReader,
  imageDefault: number,
): Pick<TowerShape, 'imageSize' | 'patchSize' | 'gridSize'> {
  const imageSize = readSide(config, 'image_size', imageDefault);
  const patchSize = readSide(config, 'patch_size', 14);
  return { imageSize, patchSize, gridSize: gridOf(imageSize, patchSize) };
}

/**
 * Patches of a tile's side.
 * @throws ModelError where they do not fill it
 */
export function gridOf(imageSize: number, patchSize: number): number {
  const grid = imageSize / patchSize;
  if (Number.isInteger(grid) && grid ** 2 <= mostPatches) return grid;
  throw new ModelError(
    'MODEL_UNSUPPORTED_CONFIG',
    `config.json: tiles of ${imageSize} pixels are no whole number of patches of ${patchSize}, or more than ${mostPatches} of them`,
  );
}

/** The side of a square: a number, or a pair of equal ones. */
function readSide(config: ConfigReader, key: string, fallback: number): number {
  const value = config.get(key);
  if (!Array.isArray(value)) return config.positiveInteger(key, fallback, { most: mostPixels });
  const [height, width] = value as unknown[];
  if (value.length !== 2 || height !== width) throw config.unsupported(key, 'only squares');
  return config.with({ [key]: height }).positiveInteger(key, undefined, { most: mostPixels });
}

/**
 * How many blocks are run for a layer that is chosen: an index in the list of the blocks' inputs
 * and the last one's output, counted from the end where it is negative.
 */
export function blocksUpTo(config: ConfigReader, key: string, layers: number): number {
  const layer = config.has(key) ? config.get(key) : -1;
  if (!Number.isInteger(layer)) throw config.unsupported(key, 'only one layer, a whole number');
  const index = Number(layer) < 0 ? layers + 1 + Number(layer) : Number(layer);
  if (index < 0 || index > layers)
    throw config.unsupported(key, `only ${-layers - 1} to ${layers} with ${layers} layers`);
  return index;
}

/**
 * Patches of a side of the square that becomes one row.
 * @throws ModelError for a downsample_ratio that is not 1 over a divisor of the grid
 */
export function readShuffle(config: ConfigReader, gridSize: number): number {
  const key = 'downsample_ratio';
  const ratio = config.number(key, 0.5, { least: 2 ** -10, most: 1 });
  const size = Math.round(1 / ratio);
  if (1 / size !== ratio || gridSize % size !== 0)
    throw config.unsupported(key, `only 1 over a divisor of ${gridSize}, the patches of a side`);
  return size;
}
