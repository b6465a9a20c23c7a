import { layerShape, readLayer, type LayerNumbersOf } from '../adapter-tensors.js';
import { openAdapterFile, type AdapterWeights } from '../adapter-weights.js';
import { CheckpointError, quoted } from '../errors.js';
import { parseJson } from '../json-file.js';
import { listed } from '../listed.js';
import {
  assertAdapter,
  type LinearModules,
  type LoraAdapter,
  type LoraLayer,
} from '../lora-adapter.js';
import { parsePeftConfig, targetModulesOf } from '../peft-config.js';
import type { ReadPeftOptions } from '../read-peft.js';
import { kohyaLayers } from './kohya.js';
import { commonest, loraModules, type LoraModule, type LoraNaming } from './lora-file.js';
import { diffusersKey, parseDiffusersKey, parseKohyaKey } from './lora-keys.js';

/** diffusers' key in a file's metadata for the options of LoRA, in JSON. */
const optionsKey = 'lora_adapter_metadata';
const component = 'transformer.';

const naming: LoraNaming = {
  keyOf: diffusersKey,
  parse: parseDiffusersKey,
  isModule: () => true,
  supported: 'lora_A, lora_B and alpha of linear layers of the transformer (transformer.…)',
};

/**
 * Reads a LoRA file of a diffusion model's transformer, with the names of diffusers or of kohya.
 * Where neither the file's metadata nor alphas say otherwise, every layer has scale 1.
 * @throws CheckpointError listing what is unknown, incomplete or does not fit the model.
 */
export async function readDiffusersAdapter(
  path: string,
  { linearModules, signal }: Pick<ReadPeftOptions, 'linearModules' | 'signal'> = {},
): Promise<LoraAdapter> {
  await using file = await openAdapterFile(path, { signal });
  const isKohya = [...file.tensors.keys()].some((name) => parseKohyaKey(name) !== null);
  const adapter = isKohya ? await kohyaAdapter(file) : await diffusersAdapter(file);
  assertAdapter(adapter);
  if (linearModules) assertAllFit(file, adapter, linearModules);
  return { ...adapter, targetModules: targetModulesOf(adapter.layers.keys(), linearModules) };
}

async function kohyaAdapter(file: AdapterWeights): Promise<LoraAdapter> {
  const own = await kohyaLayers(file);
  const rank = commonest([...own.values()].map((layer) => layer.rank));
  const alpha = commonest([...own.values()].map((layer) => layer.alpha));
  return { rank, alpha, useRslora: false, targetModules: [], layers: own };
}

async function diffusersAdapter(file: AdapterWeights): Promise<LoraAdapter> {
  const modules = await loraModules(file, naming);
  const options = statedOptions(file, modules) ?? impliedOptions(file, modules);
  const { rank, alpha, useRslora } = options;
  const names = { nameOf: diffusersKey, ranksFrom: optionsKey };
  const layers = new Map<string, LoraLayer>();
  for (const { path } of modules)
    layers.set(
      path,
      await readLayer(file, layerShape(file, path, { ...options, ...names }), names),
    );
  return { rank, alpha, useRslora, targetModules: [], layers };
}

type LoraOptions = LayerNumbersOf & Pick<LoraAdapter, 'useRslora'>;

/** The options that a file states for the transformer; null: none. */
function statedOptions(file: AdapterWeights, modules: readonly LoraModule[]): LoraOptions | null {
  const text = file.metadata[optionsKey];
  const entries = text === undefined ? [] : Object.entries(parsedOptions(file, text));
  const own = entries.flatMap(([key, value]): [string, unknown][] =>
    key.startsWith(component) ? [[key.slice(component.length), value]] : [],
  );
  if (own.length === 0) return null;
  const [scaled] = modules.filter(({ alpha }) => alpha !== null);
  const where = `${file.path}: ${optionsKey}`;
  if (scaled)
    throw new CheckpointError(
      'CHECKPOINT_ADAPTER_INVALID',
      `${where} states how layers are scaled, and so does ${quoted(diffusersKey(scaled.path, 'alpha'))}: only one of them may be there`,
    );
  const options = parsePeftConfig({ peft_type: 'LORA', ...Object.fromEntries(own) }, where);
  if (options.useDora)
    throw new CheckpointError(
      'CHECKPOINT_ADAPTER_UNSUPPORTED',
      `${where}: use_dora is true: adapters of pictures are read as LoRA alone`,
    );
  return options;
}

function parsedOptions(file: AdapterWeights, text: string): object {
  const invalid = (reason: string, cause?: unknown) =>
    new CheckpointError(
      'CHECKPOINT_ADAPTER_INVALID',
      `${file.path}: ${optionsKey} in its metadata is no JSON object${reason}`,
      { cause },
    );
  const value = parseJson(text, (reason, cause) => invalid(`: ${reason}`, cause));
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('');
  return value;
}

/**
 * Ranks by the shapes of the tensors; alpha is a layer's own, or its rank where no layer has one.
 * @throws CheckpointError CHECKPOINT_ADAPTER_INVALID where only some have: programs differ in what
 * they take for the others
 */
function impliedOptions(file: AdapterWeights, modules: readonly LoraModule[]): LoraOptions {
  const without = modules.filter(({ alpha }) => alpha === null).map(({ path }) => path);
  if (without.length > 0 && without.length < modules.length)
    throw new CheckpointError(
      'CHECKPOINT_ADAPTER_INVALID',
      `${file.path} has alphas, but none of ${listed(without)}`,
    );
  const ranks = new Map(modules.map(({ path, rank }) => [path, rank]));
  const alphas = new Map(modules.map(({ path, rank, alpha }) => [path, alpha ?? rank]));
  return {
    rank: commonest([...ranks.values()]),
    alpha: commonest([...alphas.values()]),
    useRslora: false,
    ranks: (path) => ranks.get(path),
    alphas: (path) => alphas.get(path),
  };
}

function assertAllFit(
  file: AdapterWeights,
  { layers }: LoraAdapter,
  linearModules: LinearModules,
): void {
  const mismatch = (reason: string) =>
    new CheckpointError('CHECKPOINT_ADAPTER_MISMATCH', `${file.path}: ${reason}`);
  const unknown = [...layers.keys()].filter((path) => !linearModules.has(path));
  if (unknown.length > 0)
    throw mismatch(`${listed(unknown)}: no linear layer of this model that can be adapted`);
  const wrong = [...layers].filter(([path, { inFeatures, outFeatures }]) => {
    const linear = linearModules.get(path);
    return linear?.inFeatures !== inFeatures || linear.outFeatures !== outFeatures;
  });
  const [first] = wrong;
  if (!first) return;
  const [path, { inFeatures, outFeatures }] = first;
  const linear = linearModules.get(path);
  throw mismatch(
    `${listed(wrong.map(([each]) => each))}: of another size than the model's; ${quoted(path)} is ${outFeatures} x ${inFeatures}, the model's ${linear?.outFeatures} x ${linear?.inFeatures}`,
  );
}
