import { join } from 'node:path';

import type { AtomicOptions } from '../atomic.js';
import { CheckpointError } from '../errors.js';
import { readJsonObject } from '../json-file.js';
import { adapterScale, isDora, layerRank, layerScale, type LoraAdapter } from '../lora-adapter.js';
import { ggufArchitecture, ggufWeightName, type GgufArchitecture } from './architectures.js';
import { writeGguf, type GgufTensor } from './write-gguf.js';

/**
 * Writes an adapter as llama.cpp loads it with `--lora`, in float32: names, order of rows and
 * metadata are those of its convert_lora_to_gguf.py (src/llama-adapter.cpp is the reader).
 * llama.cpp scales a layer by `adapter.lora.alpha` / its rank; what else rsLoRA and alphas of
 * layers make of it is multiplied into B.
 * @param model folder of the base model, whose config.json says class and heads
 * @throws CheckpointError CHECKPOINT_ADAPTER_UNSUPPORTED for DoRA and for a class or a module that
 * llama.cpp has otherwise, CHECKPOINT_INVALID_CONFIG
 */
export async function writeGgufAdapter(
  path: string,
  adapter: LoraAdapter,
  { model, ...options }: AtomicOptions & { readonly model: string },
): Promise<{ readonly architecture: string; readonly tensors: number }> {
  if (isDora(adapter))
    throw new CheckpointError(
      'CHECKPOINT_ADAPTER_UNSUPPORTED',
      'GGUF: the adapter is DoRA, whose magnitudes llama.cpp has no place for; merge it, and convert the merged checkpoint',
    );
  const config = await readJsonObject(join(model, 'config.json'), 'CHECKPOINT_INVALID_CONFIG');
  const { architectures } = config;
  const className: unknown = Array.isArray(architectures) ? architectures[0] : architectures;
  const architecture = ggufArchitecture(className);
  if (config['tie_word_embeddings'] === true && adapter.layers.has('lm_head'))
    throw new CheckpointError(
      'CHECKPOINT_ADAPTER_UNSUPPORTED',
      'GGUF: the adapted lm_head is the embedding of the base model, which llama.cpp has no adapter for',
    );
  const tensors = tensorsOf(adapter, { architecture, config });
  await writeGguf(
    path,
    {
      'general.architecture': { type: 'string', value: architecture.name },
      'general.type': { type: 'string', value: 'adapter' },
      'adapter.type': { type: 'string', value: 'lora' },
      'adapter.lora.alpha': { type: 'float32', value: adapter.alpha },
      'general.file_type': { type: 'uint32', value: 0 },
    },
    tensors,
    options,
  );
  return { architecture: architecture.name, tensors: tensors.length };
}

function tensorsOf(
  adapter: LoraAdapter,
  base: {
    readonly architecture: GgufArchitecture;
    readonly config: Readonly<Record<string, unknown>>;
  },
): GgufTensor[] {
  const { alpha } = adapter;
  return [...adapter.layers].flatMap(([path, layer]) => {
    const name = ggufWeightName(path);
    const rank = layerRank(adapter, layer);
    const factor = layerScale(adapter, layer) / adapterScale({ alpha, rank, useRslora: false });
    const heads = base.architecture.permutesHeads ? headsOf(path, base.config) : null;
    const rows = heads === null ? layer.b : permutedRows(layer.b, { ...layer, rank, heads });
    return [
      { name: `${name}.lora_a`, shape: [rank, layer.inFeatures], values: layer.a },
      {
        name: `${name}.lora_b`,
        shape: [layer.outFeatures, rank],
        values: factor === 1 ? rows : rows.map((value) => factor * value),
      },
    ];
  });
}

/** Heads that the rows of q or k are of; null: another module. */
function headsOf(path: string, config: Readonly<Record<string, unknown>>): number | null {
  const attention = config['num_attention_heads'];
  const count = path.endsWith('.q_proj')
    ? attention
    : path.endsWith('.k_proj')
      ? (config['num_key_value_heads'] ?? attention)
      : null;
  if (count === null) return null;
  if (typeof count === 'number' && Number.isSafeInteger(count) && count > 0) return count;
  throw new CheckpointError(
    'CHECKPOINT_INVALID_CONFIG',
    'config.json: num_attention_heads and num_key_value_heads are to be whole numbers of at least 1',
  );
}

/**
 * Rows of each head, its two halves interleaved: row 2i + s of the result is row s · d/2 + i.
 * @param b (outFeatures, rank), row-major
 */
function permutedRows(
  b: Float32Array,
  {
    outFeatures,
    rank,
    heads,
  }: { readonly outFeatures: number; readonly rank: number; readonly heads: number },
): Float32Array {
  const size = outFeatures / heads;
  if (!Number.isInteger(size / 2))
    throw new CheckpointError(
      'CHECKPOINT_ADAPTER_MISMATCH',
      `GGUF: ${outFeatures} rows are not those of ${heads} heads of an even size`,
    );
  const permuted = new Float32Array(b.length);
  for (let row = 0; row < outFeatures; row += 1) {
    const within = row % size;
    const source = row - within + (within % 2) * (size / 2) + Math.floor(within / 2);
    permuted.set(b.subarray(source * rank, (source + 1) * rank), row * rank);
  }
  return permuted;
}
