import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { CheckpointError, type CheckpointErrorCode } from '../src/errors.js';
import { fromFloat32, type FloatDType } from '../src/floats.js';
import type { LinearModules, LoraAdapter } from '../src/lora-adapter.js';
import { writeSafetensors, type SafetensorsEntry } from '../src/write-safetensors.js';

/** The repository's own models. */
export const tinyModel = fileURLToPath(
  new URL('../../../examples/models/tiny-qwen2', import.meta.url),
);
export const demoModel = fileURLToPath(
  new URL('../../../examples/models/demo-5m', import.meta.url),
);

/** Runs a test in a folder of its own and removes it. */
export async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'emloc-checkpoint-'));
  try {
    await test(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Uniform numbers in [0, 1) that depend on the seed only (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function randomValues(count: number, seed: number, scale = 1): Float32Array {
  const random = seeded(seed);
  return Float32Array.from({ length: count }, () => (2 * random() - 1) * scale);
}

/** A safetensors file around any header text and data. */
export async function writeRaw(
  path: string,
  header: string | Uint8Array,
  dataBytes = 0,
  headerLength?: bigint,
): Promise<void> {
  const text = Buffer.from(header);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(headerLength ?? BigInt(text.byteLength));
  await writeFile(path, Buffer.concat([prefix, text, Buffer.alloc(dataBytes)]));
}

/** The error that a promise rejects with; fails when it is none of this library's. */
export async function refusal(promise: Promise<unknown>): Promise<CheckpointError> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof CheckpointError))
    throw new Error(`expected a CheckpointError, got ${String(error)}`, { cause: error });
  return error;
}

export async function expectRefusal(
  promise: Promise<unknown>,
  code: CheckpointErrorCode,
  message: RegExp,
): Promise<void> {
  const error = await refusal(promise);
  expect(error.code).toBe(code);
  expect(error.message).toMatch(message);
}

export interface TinyShape {
  readonly dtype: FloatDType;
  readonly shards: number;
  readonly config?: Record<string, unknown>;
  /** Module path of a layer whose last weight is NaN. */
  readonly spoiled?: string;
}

/** Linear layers (out, in) of the made-up model of `writeTinyModel`. */
export const tinyLinears: LinearModules = new Map(
  [0, 1].flatMap((block): [string, { inFeatures: number; outFeatures: number }][] => [
    [`model.layers.${block}.self_attn.q_proj`, { inFeatures: 6, outFeatures: 8 }],
    [`model.layers.${block}.mlp.down_proj`, { inFeatures: 10, outFeatures: 6 }],
  ]),
);

/** Float32 values of the made-up model's tensors, by name. */
export function tinyTensors(): Map<string, { shape: number[]; values: Float32Array }> {
  const tensors = new Map<string, { shape: number[]; values: Float32Array }>();
  const add = (name: string, shape: number[]) => {
    const count = shape.reduce((product, extent) => product * extent, 1);
    tensors.set(name, { shape, values: randomValues(count, tensors.size + 1) });
  };
  add('model.embed_tokens.weight', [12, 6]);
  for (const [path, { inFeatures, outFeatures }] of tinyLinears)
    add(`${path}.weight`, [outFeatures, inFeatures]);
  add('model.norm.weight', [6]);
  return tensors;
}

/**
 * A folder with a made-up model in one file or in shards, a tokenizer and files that are no part of
 * it.
 */
export async function writeTinyModel(
  folder: string,
  { dtype, shards, config, spoiled }: TinyShape,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const entries = [...tinyTensors()].map(([name, { shape, values }]): SafetensorsEntry => ({
    name,
    shape,
    dtype,
    data: () =>
      fromFloat32(name === `${spoiled}.weight` ? values.with(-1, Number.NaN) : values, dtype),
  }));
  const fileOf = (index: number) =>
    shards === 1
      ? 'model.safetensors'
      : `model-${String((index % shards) + 1).padStart(5, '0')}-of-${String(shards).padStart(5, '0')}.safetensors`;
  for (const file of new Set(entries.map((_, index) => fileOf(index)))) {
    await writeSafetensors(
      join(folder, file),
      entries.filter((_, index) => fileOf(index) === file),
      { format: 'pt' },
    );
  }
  if (shards > 1) {
    const weightMap = Object.fromEntries(entries.map(({ name }, index) => [name, fileOf(index)]));
    const totalBytes = [...tinyTensors().values()].reduce(
      (sum, { values }) => sum + fromFloat32(values, dtype).byteLength,
      0,
    );
    await writeFile(
      join(folder, 'model.safetensors.index.json'),
      JSON.stringify({ metadata: { total_size: totalBytes }, weight_map: weightMap }, null, 2),
    );
  }
  const configText = JSON.stringify(
    { architectures: ['TinyForCausalLM'], torch_dtype: dtype, ...config },
    null,
    2,
  );
  await writeFile(
    join(folder, 'config.json'),
    configText.replace('{', '{\n  "rms_norm_eps": 1e-06,\n  "rope_theta": 10000.0,'),
  );
  await writeFile(join(folder, 'tokenizer.json'), '{"version":"1.0"}');
}

/** An adapter for some or all of the made-up model's linear layers. */
/** The same with magnitudes, all of them positive. */
export function tinyDora(): LoraAdapter {
  const adapter = tinyAdapter();
  const layers = [...adapter.layers].map(([path, layer], index) => {
    const magnitude = randomValues(layer.outFeatures, 130 + index).map((value) => 1.5 + value);
    return [path, { ...layer, magnitude }] as const;
  });
  return { ...adapter, layers: new Map(layers) };
}

export function tinyAdapter(
  overrides: Partial<LoraAdapter> & { paths?: readonly string[] } = {},
): LoraAdapter {
  const { paths = [...tinyLinears.keys()], ...rest } = overrides;
  const rank = rest.rank ?? 2;
  const layers = new Map(
    paths.map((path, index) => {
      const { inFeatures, outFeatures } = tinyLinears.get(path) ?? {
        inFeatures: 6,
        outFeatures: 8,
      };
      return [
        path,
        {
          a: randomValues(rank * inFeatures, 50 + index),
          b: randomValues(outFeatures * rank, 90 + index),
          inFeatures,
          outFeatures,
        },
      ];
    }),
  );
  return {
    rank,
    alpha: 4,
    useRslora: false,
    targetModules: ['down_proj', 'q_proj'],
    layers,
    ...rest,
  };
}

/** Every file under a folder with its bytes, by relative path. */
export async function contentsOf(folder: string): Promise<Map<string, Buffer>> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = names
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return new Map(
    await Promise.all(
      files.map(async (path) => [path.slice(folder.length + 1), await readFile(path)] as const),
    ),
  );
}
