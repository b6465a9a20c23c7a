import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromFloat32, writeSafetensors, type SafetensorsEntry } from '@emloc/checkpoint';

import { layoutOf } from '../src/layout-of.js';

export type Config = Readonly<Record<string, unknown>>;

/** Two blocks, grouped-query attention, nothing that divides anything else by chance. */
const shape = {
  hidden_size: 24,
  intermediate_size: 40,
  vocab_size: 56,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 32,
  rms_norm_eps: 1e-6,
  hidden_act: 'silu',
};

export const llamaConfig: Config = Object.freeze({
  architectures: ['LlamaForCausalLM'],
  ...shape,
  tie_word_embeddings: false,
});

export const qwen2Config: Config = Object.freeze({
  architectures: ['Qwen2ForCausalLM'],
  ...shape,
  tie_word_embeddings: true,
});

/** Values of a tensor by its name alone, so that two checkpoints agree where their names do. */
export function seededValues(name: string, size: number): Float32Array {
  const seed = [...name].reduce((hash, letter) => (hash * 31 + letter.charCodeAt(0)) % 9973, 7);
  const isNorm = name.endsWith('norm.weight');
  return Float32Array.from(
    { length: size },
    (_, index) => (isNorm ? 1 : 0) + 0.25 * Math.sin((index + 1) * (seed + 0.37)),
  );
}

export interface TestCheckpoint {
  readonly folder: string;
  close(): Promise<void>;
}

export interface CheckpointChanges {
  /** Tensors that the config asks for and the file lacks. */
  readonly without?: readonly string[];
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  /** Tensors that take their values from another's name. */
  readonly valuesOf?: Readonly<Record<string, string>>;
  readonly dtypes?: Readonly<Record<string, 'int32' | 'float16' | 'bfloat16' | 'float32'>>;
  /** Tensors that the config does not ask for. */
  readonly extra?: readonly { readonly name: string; readonly shape: readonly number[] }[];
  /** Makes every name what the file has. */
  readonly rename?: (name: string) => string;
  /** The last value of some tensors. */
  readonly last?: Readonly<Record<string, number>>;
}

/**
 * Writes a checkpoint of seeded float32 values that has what its config says, but for the changes.
 */
export async function writeCheckpoint(
  config: Config,
  changes: CheckpointChanges = {},
): Promise<TestCheckpoint> {
  const folder = await mkdtemp(join(tmpdir(), 'emloc-model-'));
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  const { pages, tables } = layoutOf(config);
  const looked = tables.map(({ checkpointName, entries: rows, width }) => ({
    ...{ checkpointName, shape: [rows, width], storedShape: undefined },
  }));
  const tensors = [...pages.flatMap((page) => page.tensors), ...looked].filter(
    ({ checkpointName }) => !changes.without?.includes(checkpointName),
  );
  const extra = (changes.extra ?? []).map(({ name, shape: extents }) => ({
    checkpointName: name,
    shape: extents,
    storedShape: undefined,
  }));
  const entries = [...tensors, ...extra].map(
    ({ checkpointName: name, shape: expected, storedShape }): SafetensorsEntry => {
      const extents = changes.shapes?.[name] ?? storedShape ?? expected;
      const dtype = changes.dtypes?.[name] ?? 'float32';
      const values = seededValues(
        changes.valuesOf?.[name] ?? name,
        extents.reduce((product, extent) => product * extent, 1),
      );
      const last = changes.last?.[name];
      if (last !== undefined) values[values.length - 1] = last;
      return {
        name: changes.rename?.(name) ?? name,
        shape: extents,
        dtype,
        data: () =>
          dtype === 'int32' ? new Uint8Array(4 * values.length) : fromFloat32(values, dtype),
      };
    },
  );
  await writeSafetensors(join(folder, 'model.safetensors'), entries, {});
  return { folder, close: () => rm(folder, { recursive: true, force: true }) };
}
