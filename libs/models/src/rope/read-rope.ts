import { ConfigReader, isObject } from '../config.js';
import type { RopeSpec } from '../decoder-shape.js';
import { ModelError } from '../errors.js';
import { ropeFrequencies } from './frequencies.js';
import {
  partialKey,
  positionBounds,
  readParameters,
  type RopeParameters,
  type RopeType,
} from './parameters.js';

/** What a family has to say of its rotary embedding. */
export interface RopeModel {
  readonly headDim: number;
  readonly maxPositions: number;
  /** The base where the config says none. */
  readonly theta: number;
  /** The share of a head that rotates where the config says none; absent: it can only be 1. */
  readonly partial?: number;
  /** Default: halves. */
  readonly pairs?: RopeSpec['pairs'];
  /** The names of types, and what they mean; others are refused. Default: what transformers has. */
  readonly types?: Readonly<Record<string, RopeType>>;
  /** What the top level's `original_max_position_embeddings` is where it is absent. */
  readonly originalPositions?: number;
  /** A key within that the family reads itself. */
  readonly reads?: string;
}

const commonTypes: Readonly<Record<string, RopeType>> = Object.freeze({
  default: 'default',
  linear: 'linear',
  dynamic: 'dynamic',
  llama3: 'llama3',
  yarn: 'yarn',
  longrope: 'longrope',
  su: 'longrope',
});

/** Keys that change what rotates where their type reads them. */
const keysOf: Readonly<Record<RopeType, readonly string[]>> = Object.freeze({
  default: [],
  linear: ['factor'],
  dynamic: ['factor'],
  proportional: ['factor'],
  llama3: ['factor', 'low_freq_factor', 'high_freq_factor'],
  yarn: [
    'factor',
    'attention_factor',
    'beta_fast',
    'beta_slow',
    'mscale',
    'mscale_all_dim',
    'truncate',
  ],
  longrope: ['factor', 'attention_factor', 'short_factor', 'long_factor'],
});

/** Keys by which published code scales further. */
const furtherKeys = ['alpha', 'llama_4_scaling_beta', 'long_mscale', 'short_mscale'];
/** Keys that change nothing when they are 1. */
const factorKeys = ['factor', 'attention_factor'];
const scalingKeys = [...new Set([...Object.values(keysOf).flat(), ...furtherKeys])].filter(
  (key) => !factorKeys.includes(key),
);

/** The largest base that checkpoints have is below 1e11. */
const largestTheta = 1e12;
const originalKey = 'original_max_position_embeddings';

/** Places of a config that say how one embedding rotates; `scaling` counts unless it is empty. */
interface Forms {
  readonly scaling: ConfigReader;
  readonly parameters: ConfigReader;
  readonly config: ConfigReader;
}

interface Defaults {
  readonly theta: number;
  readonly originalPositions: number | null;
  readonly isLayered: boolean;
}

/**
 * The rotary embedding that all layers share. As transformers has it, `rope_scaling` (before
 * version 5), or else `rope_parameters`, holds everything. At the top level, `rope_theta` and
 * `partial_rotary_factor` are the defaults of those within; `original_max_position_embeddings`
 * there counts before the one within.
 * @throws ModelError for what is not supported or contradicts itself, by key and value
 */
export function readRope(config: ConfigReader, model: RopeModel): RopeSpec {
  const forms = sharedForms(config);
  for (const rope of [forms.scaling, forms.parameters]) assertNotLayered(rope);
  return readForms(forms, model, {
    theta: readTheta(config, model.theta),
    originalPositions: topPositions(config, model.originalPositions),
    isLayered: false,
  });
}

/** Whichever of `rope_scaling` and `rope_parameters` counts. */
export function chosenRope(config: ConfigReader): ConfigReader {
  const { scaling, parameters } = sharedForms(config);
  return isEmpty(scaling) ? parameters : scaling;
}

/**
 * The rotary embedding of one type of layer: `rope_parameters.<type>`, and the old form's
 * `rope_scaling` for layers of full attention. `theta` is the base where none is within.
 */
export function readLayerRope(
  config: ConfigReader,
  layerType: 'full_attention' | 'sliding_attention',
  model: RopeModel,
): RopeSpec {
  const all = config.nested('rope_parameters');
  const flat = all.keys().find((key) => all.has(key) && !isObject(all.get(key)));
  if (flat !== undefined) throw all.unsupported(flat, 'only one object for each type of layer');
  const scaling =
    layerType === 'full_attention' ? config.nested('rope_scaling') : new ConfigReader({});
  return readForms({ scaling, parameters: all.nested(layerType), config }, model, {
    theta: model.theta,
    originalPositions: null,
    isLayered: true,
  });
}

function sharedForms(config: ConfigReader): Forms {
  return {
    scaling: config.nested('rope_scaling'),
    parameters: config.nested('rope_parameters'),
    config,
  };
}

function isEmpty(config: ConfigReader): boolean {
  return config.keys().length === 0;
}

function assertNotLayered(rope: ConfigReader): void {
  const layered = rope.keys().find((key) => isObject(rope.get(key)));
  if (layered !== undefined) throw rope.unsupported(layered, 'only one form for all layers');
}

function topPositions(config: ConfigReader, fallback: number | undefined): number | null {
  if (fallback === undefined && !config.has(originalKey)) return null;
  return config.positiveInteger(originalKey, fallback, positionBounds);
}

export function readTheta(config: ConfigReader, fallback: number, key = 'rope_theta'): number {
  return config.number(key, fallback, { least: 1, most: largestTheta });
}

function readForms(forms: Forms, model: RopeModel, defaults: Defaults): RopeSpec {
  const { scaling, parameters } = forms;
  if (isEmpty(scaling)) return ropeSpec(readOne(parameters, forms, model, defaults), model);
  const read = readOne(scaling, forms, model, defaults);
  if (readTheta(parameters, read.theta) !== read.theta)
    throw parameters.invalid(
      'rope_theta',
      `${read.theta}, which counts where there is rope_scaling`,
    );
  if (parameters.keys().some((key) => key !== 'rope_theta' && parameters.has(key))) {
    const other = readOne(parameters, forms, model, { ...defaults, theta: read.theta });
    if (JSON.stringify(other) !== JSON.stringify(read))
      throw forms.config.invalid('rope_parameters', 'the same as rope_scaling, which counts');
  }
  return ropeSpec(read, model);
}

function readOne(
  rope: ConfigReader,
  { config }: Forms,
  model: RopeModel,
  defaults: Defaults,
): RopeParameters {
  const type = readType(rope, model.types ?? commonTypes);
  assertKeys(rope, [...keysOf[type], ...(model.reads === undefined ? [] : [model.reads])]);
  return readParameters(type, rope, {
    theta: readTheta(rope, defaults.theta),
    // Of a proportional one, pairs lie across the whole head, those that do not turn among them.
    rotaryDim: type === 'proportional' ? model.headDim : readRotaryDim(rope, config, model),
    maxPositions: model.maxPositions,
    originalPositions: defaults.originalPositions,
    isLayered: defaults.isLayered,
  });
}

function readType(rope: ConfigReader, types: Readonly<Record<string, RopeType>>): RopeType {
  const key = rope.has('rope_type') ? 'rope_type' : 'type';
  const name = rope.has(key) ? rope.get(key) : 'default';
  const known = Object.entries(types).find(([each]) => each === name);
  if (known === undefined) throw rope.unsupported(key, `only ${Object.keys(types).join(', ')}`);
  return known[1];
}

/** Refuses keys that would change something if their type read them. */
function assertKeys(rope: ConfigReader, read: readonly string[]): void {
  for (const key of factorKeys) if (!read.includes(key)) rope.only(key, [1]);
  for (const key of scalingKeys) if (!read.includes(key)) rope.absent(key);
}

function readRotaryDim(rope: ConfigReader, config: ConfigReader, model: RopeModel): number {
  const key = partialKey;
  if (model.partial === undefined) {
    for (const place of [config, rope]) place.only(key, [1]);
    return model.headDim;
  }
  const place = rope.has(key) ? rope : config;
  const rotaryDim = Math.trunc(model.headDim * place.number(key, model.partial, { most: 1 }));
  if (rotaryDim < 2 || rotaryDim % 2 !== 0)
    throw place.invalid(key, `a share of head_dim ${model.headDim} that is even, not ${rotaryDim}`);
  return rotaryDim;
}

function ropeSpec(parameters: RopeParameters, { maxPositions, pairs }: RopeModel): RopeSpec {
  return {
    rotaryDim: parameters.rotaryDim,
    pairs: pairs ?? 'halves',
    frequencies(length) {
      if (parameters.type === 'dynamic' && length > maxPositions)
        throw new ModelError(
          'MODEL_UNSUPPORTED_CONFIG',
          `config.json: with the rope type dynamic, rows can have at most max_position_embeddings = ${maxPositions} tokens, got one of ${length}`,
        );
      return ropeFrequencies(parameters, length);
    },
  };
}
