import { at } from '@emloc/checked';

import { CheckpointError, quoted } from './errors.js';
import { isDora, type LinearModules, type LoraAdapter } from './lora-adapter.js';
import { parseLayerNumbers, type LayerNumbers } from './peft-patterns.js';

export const adapterConfigName = 'adapter_config.json';
export const adapterWeightsName = 'adapter_model.safetensors';

/** What an adapter's tensors need from its adapter_config.json. */
export interface PeftConfig {
  readonly rank: number;
  readonly alpha: number;
  readonly useRslora: boolean;
  readonly useDora: boolean;
  /** null where it is a regular expression, kept in `targetModules` as the only element. */
  readonly suffixes: readonly string[] | null;
  readonly targetModules: readonly string[];
  readonly baseModel: string | undefined;
  /** Ranks and alphas of layers that have their own. */
  readonly ranks: LayerNumbers;
  readonly alphas: LayerNumbers;
}

/**
 * adapter_config.json as PEFT writes it for LoRA and DoRA, keys sorted. Unset options are written
 * too, as PEFT does.
 */
export function peftConfigText(
  adapter: LoraAdapter,
  {
    targetModules,
    baseModel,
    revision,
  }: {
    /** A list of names, or an expression. */
    targetModules: readonly string[] | string;
    baseModel: string | null;
    revision: string | null;
  },
): string {
  const config = {
    alpha_pattern: ownNumbers(adapter, 'alpha'),
    auto_mapping: null,
    base_model_name_or_path: baseModel,
    bias: 'none',
    corda_config: null,
    eva_config: null,
    exclude_modules: null,
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layer_replication: null,
    layers_pattern: null,
    layers_to_transform: null,
    loftq_config: {},
    lora_alpha: adapter.alpha,
    lora_bias: false,
    lora_dropout: adapter.dropout ?? 0,
    megatron_config: null,
    megatron_core: 'megatron.core',
    modules_to_save: null,
    peft_type: 'LORA',
    qalora_group_size: 16,
    r: adapter.rank,
    rank_pattern: ownNumbers(adapter, 'rank'),
    revision,
    target_modules: targetModules,
    target_parameters: null,
    task_type: 'CAUSAL_LM',
    trainable_token_indices: null,
    use_dora: isDora(adapter),
    use_qalora: false,
    use_rslora: adapter.useRslora,
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

/** Numbers of layers that have their own, by whole path: dots match themselves. */
function ownNumbers({ layers }: LoraAdapter, name: 'rank' | 'alpha'): Record<string, number> {
  const entries = [...layers].flatMap(([path, layer]) => {
    const own = layer[name];
    return own === undefined ? [] : [[path, own] as const];
  });
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * What PEFT is to select, so that it adapts exactly these layers: the last name of a path where
 * every linear layer of the model with that name is adapted, whole paths otherwise. Numbers are
 * names of no layer alone: blocks have them, too. Sorted.
 */
export function targetModulesOf(
  paths: Iterable<string>,
  linearModules: LinearModules | undefined,
): string[] {
  const adapted = new Set(paths);
  const isWhole = (suffix: string) =>
    linearModules !== undefined &&
    !/^\d+$/.test(suffix) &&
    [...linearModules.keys()].every((path) => lastName(path) !== suffix || adapted.has(path));
  const whole = new Map(
    [...new Set([...adapted].map(lastName))].map((suffix) => [suffix, isWhole(suffix)]),
  );
  return [
    ...new Set([...adapted].map((path) => (whole.get(lastName(path)) ? lastName(path) : path))),
  ].sort();
}

/**
 * The same as a regular expression of PEFT's, which selects nothing outside a module of the model,
 * whatever is called alike there.
 */
export function targetExpressionOf(
  paths: Iterable<string>,
  linearModules: LinearModules | undefined,
  within: string,
): string {
  const start = `${within}.`;
  const adapted = [...paths];
  // Of a module that is in it without others between, no dot comes before the name.
  const isAnyDirect = adapted.some((path) => path.endsWith(`${start}${lastName(path)}`));
  const between = isAnyDirect ? '(.*\\.)?' : '.*\\.';
  const inside = new Map(
    [...(linearModules ?? [])].filter(([path]) => `.${path}`.includes(`.${start}`)),
  );
  const targets = targetModulesOf(adapted, linearModules && inside);
  const names = targets.filter((target) => !target.includes('.')).map(escaped);
  const whole = targets
    .filter((target) => target.includes('.'))
    .map((path) => escaped(path.slice(path.indexOf(start) + start.length)));
  const choices = [...(names.length > 0 ? [`${between}(${names.join('|')})`] : []), ...whole];
  const either = choices.length === 1 ? at(choices, 0) : `(${choices.join('|')})`;
  return `.*${escaped(start)}${either}`;
}

function escaped(name: string): string {
  return name.replaceAll('.', '\\.');
}

/** Keys that change nothing in what a finished adapter computes. */
const ignoredKeys = new Set([
  'auto_mapping',
  'corda_config',
  'ensure_weight_tying',
  'eva_config',
  'exclude_modules',
  'inference_mode',
  'layers_pattern',
  'layers_to_transform',
  'loftq_config',
  'lora_dropout',
  'lora_ga_config',
  'megatron_core',
  'peft_version',
  'qalora_group_size',
  'revision',
  'runtime_config',
  'velora_config',
]);
/** Keys with rules of their own below. */
const readKeys = new Set([
  'alpha_pattern',
  'base_model_name_or_path',
  'bias',
  'init_lora_weights',
  'lora_alpha',
  'peft_type',
  'r',
  'rank_pattern',
  'target_modules',
  'task_type',
  'use_dora',
  'use_rslora',
]);
/** Initialisations that leave the base weights as they are; the others belong to changed ones. */
const keptBaseInitializations = new Set<unknown>([
  undefined,
  null,
  true,
  false,
  'gaussian',
  'eva',
  'orthogonal',
  'mica',
]);

/**
 * Reads the options of a LoRA or DoRA adapter.
 * @throws CheckpointError CHECKPOINT_ADAPTER_UNSUPPORTED naming the key of anything that would
 * change the result (biases, saved modules ...),
 * CHECKPOINT_ADAPTER_INVALID for malformed values.
 */
export function parsePeftConfig(
  config: Readonly<Record<string, unknown>>,
  path: string,
): PeftConfig {
  assertPlainLora(config, path);
  const {
    r: rank,
    lora_alpha: alpha,
    use_rslora: useRslora = false,
    use_dora: useDora = false,
    base_model_name_or_path: baseModel,
  } = config;
  if (!isRank(rank)) throw invalid(path, `r is ${quoted(rank)}, not a positive integer`);
  if (!isFiniteNumber(alpha)) throw invalid(path, `lora_alpha is ${quoted(alpha)}, not a number`);
  if (typeof useRslora !== 'boolean')
    throw invalid(path, `use_rslora is ${quoted(useRslora)}, not true or false`);
  if (useDora !== null && typeof useDora !== 'boolean')
    throw invalid(path, `use_dora is ${quoted(useDora)}, not true or false`);
  const targets = parseTargets(config['target_modules'], path);
  const pattern = (key: string, isValid: (number: unknown) => number is number) =>
    parseLayerNumbers(config[key], `${path}: ${key}`, isValid);
  return {
    rank,
    alpha,
    useRslora,
    useDora: useDora ?? false,
    ...targets,
    baseModel: typeof baseModel === 'string' && baseModel !== '' ? baseModel : undefined,
    ranks: pattern('rank_pattern', isRank),
    alphas: pattern('alpha_pattern', isFiniteNumber),
  };
}

function assertPlainLora(config: Readonly<Record<string, unknown>>, path: string): void {
  const refuse = (key: string, supported: string): never => {
    throw new CheckpointError(
      'CHECKPOINT_ADAPTER_UNSUPPORTED',
      `${path}: ${quoted(key)} is ${quoted(config[key])}, supported is ${supported}`,
    );
  };
  if (config['peft_type'] !== 'LORA') refuse('peft_type', 'LORA');
  if (config['task_type'] !== 'CAUSAL_LM' && !isNeutral(config['task_type']))
    refuse('task_type', 'CAUSAL_LM');
  if (config['bias'] !== 'none' && !isNeutral(config['bias'])) refuse('bias', 'none');
  if (!keptBaseInitializations.has(config['init_lora_weights']))
    refuse('init_lora_weights', 'what leaves the base weights as they are');
  for (const [key, value] of Object.entries(config)) {
    if (!ignoredKeys.has(key) && !readKeys.has(key) && !isNeutral(value))
      refuse(key, 'leaving it unset');
  }
}

function parseTargets(
  value: unknown,
  path: string,
): Pick<PeftConfig, 'suffixes' | 'targetModules'> {
  if (typeof value === 'string') return { suffixes: null, targetModules: [value] };
  if (!Array.isArray(value) || !value.every((name): name is string => typeof name === 'string')) {
    throw invalid(
      path,
      `target_modules is ${quoted(value)}, neither a list of names nor an expression`,
    );
  }
  return { suffixes: value, targetModules: value };
}

function isRank(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0;
}

function isFiniteNumber(value: unknown): value is number {
  return Number.isFinite(value);
}

function isNeutral(value: unknown): boolean {
  if (value === undefined || value === null || value === false) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

function lastName(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}

function invalid(path: string, reason: string): CheckpointError {
  return new CheckpointError('CHECKPOINT_ADAPTER_INVALID', `${path}: ${reason}`);
}
