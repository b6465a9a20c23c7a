import { at } from '@emloc/checked';

import { invalidAdapter, readFloats } from '../adapter-tensors.js';
import type { AdapterWeights } from '../adapter-weights.js';
import { CheckpointError, quoted } from '../errors.js';
import { listed } from '../listed.js';
import type { LoraKey } from './lora-keys.js';

/** How a LoRA file names its tensors. */
export interface LoraNaming {
  keyOf(path: string, kind: LoraKey): string;
  parse(name: string): { readonly path: string; readonly kind: LoraKey } | null;
  /** Whether a module can be adapted, by its name alone. */
  isModule(path: string): boolean;
  /** What is supported, for messages. */
  readonly supported: string;
}

/** A module of a LoRA file. */
export interface LoraModule {
  readonly path: string;
  readonly rank: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** null: the file has none. */
  readonly alpha: number | null;
}

/**
 * The modules of a LoRA file, every tensor of it accounted for.
 * @throws CheckpointError listing the tensors that are unknown, missing or of a wrong shape
 */
export async function loraModules(
  file: AdapterWeights,
  naming: LoraNaming,
): Promise<readonly LoraModule[]> {
  const paths = modulePaths(file, naming);
  assertHalves(file, paths, naming);
  assertShapes(file, paths, naming);
  const modules: LoraModule[] = [];
  for (const path of paths) {
    const a = shapeOf(file, naming.keyOf(path, 'a'));
    const b = shapeOf(file, naming.keyOf(path, 'b'));
    const alpha = await alphaOf(file, naming.keyOf(path, 'alpha'));
    modules.push({ path, rank: at(a, 0), inFeatures: at(a, 1), outFeatures: at(b, 0), alpha });
  }
  return modules;
}

function modulePaths(file: AdapterWeights, naming: LoraNaming): string[] {
  const names = [...file.tensors.keys()];
  const unknown = names.filter((name) => {
    const parsed = naming.parse(name);
    return !parsed || !naming.isModule(parsed.path);
  });
  if (unknown.length > 0)
    throw new CheckpointError(
      'CHECKPOINT_ADAPTER_UNSUPPORTED',
      `${file.path} has ${listed(unknown)}${reasonOf(unknown)}; supported are ${naming.supported}`,
    );
  const paths = new Set(names.flatMap((name) => naming.parse(name)?.path ?? []));
  if (paths.size === 0) throw invalidAdapter(file, 'no layer is adapted');
  return [...paths].sort();
}

function reasonOf(names: readonly string[]): string {
  const reasons: readonly [RegExp, string][] = [
    [/^(text_encoder|lora_te\d?_)/, 'LoRA on text encoders is not supported'],
    [/dora_scale|lora_magnitude_vector/, 'DoRA is not supported'],
    [/\.bias$/, 'trained biases are not supported'],
  ];
  const reason = reasons.find(([pattern]) => names.some((name) => pattern.test(name)))?.[1];
  return reason === undefined ? '' : ` (${reason})`;
}

function assertHalves(file: AdapterWeights, paths: readonly string[], { keyOf }: LoraNaming): void {
  const missing = paths
    .flatMap((path) => [keyOf(path, 'a'), keyOf(path, 'b')])
    .filter((name) => !file.tensors.has(name));
  if (missing.length > 0) throw invalidAdapter(file, `lacks ${listed(missing)}`);
}

function assertShapes(file: AdapterWeights, paths: readonly string[], { keyOf }: LoraNaming): void {
  const wrong = paths.filter((path) => {
    const [a, b] = [shapeOf(file, keyOf(path, 'a')), shapeOf(file, keyOf(path, 'b'))];
    return a.length !== 2 || b.length !== 2 || a.at(0) !== b.at(1) || a.at(0) === 0;
  });
  const [first] = wrong;
  if (first === undefined) return;
  const shapes = (['a', 'b'] as const).map((kind) => shapeOf(file, keyOf(first, kind)).join(', '));
  throw invalidAdapter(
    file,
    `${listed(wrong)}: A is to have shape [rank, in] and B [out, rank], ${quoted(first)} has [${shapes.join('] and [')}]`,
  );
}

function shapeOf(file: AdapterWeights, name: string): readonly number[] {
  return file.tensors.get(name)?.shape ?? [];
}

async function alphaOf(file: AdapterWeights, name: string): Promise<number | null> {
  if (!file.tensors.has(name)) return null;
  const values = await readFloats(file, name);
  if (values.length !== 1)
    throw invalidAdapter(file, `${quoted(name)} has ${values.length} values, an alpha is one`);
  return values.at(0) ?? null;
}

/** The number that most have; of several the first. */
export function commonest(numbers: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const number of numbers) counts.set(number, (counts.get(number) ?? 0) + 1);
  const [first] = [...counts].sort(([, a], [, b]) => b - a);
  return first?.[0] ?? 0;
}
