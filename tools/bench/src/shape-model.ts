import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { at, get } from '@emloc/checked';
import { writeSafetensors } from '@emloc/checkpoint';
import { byteLength } from '@emloc/device';
import { layoutOf } from '@emloc/models';

import { gpuShapes } from './gpu-shapes.js';
import { internvlShapes } from './internvl-shapes.js';

/** Sizes of a model of the Qwen2 family. */
interface Qwen2Sizes {
  readonly layers: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly vocabulary: number;
}

/** What a checkpoint is made from. */
export interface ModelShape {
  readonly config: Readonly<Record<string, unknown>>;
  /** Tokenizer and template come from here; the shape's vocabulary holds it. */
  readonly tokenizer: string;
  readonly takesImages: boolean;
}

const qwen2Sizes: Readonly<Record<string, Qwen2Sizes>> = {
  'qwen2.5-7b': {
    layers: 28,
    hidden: 3584,
    intermediate: 18944,
    heads: 28,
    kvHeads: 4,
    vocabulary: 152_064,
  },
  'qwen2.5-32b': {
    layers: 64,
    hidden: 5120,
    intermediate: 27648,
    heads: 40,
    kvHeads: 8,
    vocabulary: 152_064,
  },
  micro: { layers: 1, hidden: 16, intermediate: 24, heads: 2, kvHeads: 1, vocabulary: 4096 },
};

export const modelShapes: ReadonlyMap<string, ModelShape> = new Map<string, ModelShape>([
  ...Object.entries(qwen2Sizes).map(([name, sizes]): [string, ModelShape] => [
    name,
    { config: configOf(sizes), tokenizer: 'examples/models/demo-5m', takesImages: false },
  ]),
  ...['qwen3.5-9b', 'qwen3.6-27b'].map((name): [string, ModelShape] => [
    name,
    { config: get(gpuShapes, name), tokenizer: 'examples/models/demo-5m', takesImages: false },
  ]),
  ...Object.entries(internvlShapes).map(([name, config]): [string, ModelShape] => [
    name,
    { config, tokenizer: 'examples/images/model', takesImages: true },
  ]),
]);

const tokenizerFiles = ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'];
/** Shards are written at the same time: a file system takes one writer a file. */
const maximumShards = 16;
const mostPatternBytes = 2 ** 26;

/**
 * Writes a checkpoint of random bfloat16 weights and returns its bytes. Weights repeat a pattern
 * that no row is a period of.
 */
export async function makeShapeModel(
  folder: string,
  { config, tokenizer }: ModelShape,
): Promise<number> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'config.json'), JSON.stringify(config, null, 2));
  for (const file of tokenizerFiles) await copyFile(join(tokenizer, file), join(folder, file));
  const tensors = layoutOf(config)
    .pages.flatMap((page) => page.tensors)
    .map(({ checkpointName, shape, storedShape }) => ({
      name: checkpointName,
      dimensions: storedShape ?? shape,
    }));
  const shardCount = Math.min(maximumShards, tensors.length);
  const boundary = (index: number): number => Math.floor((index * tensors.length) / shardCount);
  const shards = Array.from({ length: shardCount }, (_, index) => ({
    file: `model-${String(index + 1).padStart(5, '0')}.safetensors`,
    tensors: tensors.slice(boundary(index), boundary(index + 1)),
  }));
  const bytesOf = tensors.map(({ dimensions }) => byteLength(dimensions, 'bfloat16'));
  const pattern = randomPattern(Math.min(mostPatternBytes, Math.max(...bytesOf)));
  let at = 0;
  await Promise.all(
    shards.map(({ file, tensors: own }) =>
      writeSafetensors(
        join(folder, file),
        own.map(({ name, dimensions }) => ({
          name,
          shape: dimensions,
          dtype: 'bfloat16' as const,
          data: () => {
            const bytes = byteLength(dimensions, 'bfloat16');
            return constantOf(name)?.subarray(0, bytes) ?? repeated(pattern, bytes, (at += 1));
          },
        })),
        { format: 'pt' },
      ),
    ),
  );
  const weightMap = Object.fromEntries(
    shards.flatMap(({ file, tensors: own }) => own.map(({ name }) => [name, file])),
  );
  await writeFile(
    join(folder, 'model.safetensors.index.json'),
    JSON.stringify({ metadata: {}, weight_map: weightMap }),
  );
  return bytesOf.reduce((sum, bytes) => sum + bytes, 0);
}

/**
 * Writes rows that are longer than 1,024 tokens, so that a job's maximum length cuts them all to
 * the same.
 */
export async function makeLongRows(path: string, count: number): Promise<void> {
  const texts = await longTexts(count);
  const rows = texts.map((completion, row) =>
    JSON.stringify({ prompt: `Orders of day ${row}:`, completion }),
  );
  await writeFile(path, `${rows.join('\n')}\n`);
}

/** Texts of forty lines of the example task's data, which the demo's tokenizer makes long. */
export async function longTexts(count: number): Promise<readonly string[]> {
  const lines = (await readFile('examples/data/train.jsonl', 'utf8'))
    .split('\n')
    .filter((line) => line !== '');
  return Array.from({ length: count }, (_, row) =>
    Array.from(
      { length: 40 },
      (_each, index) => lines[(row * 37 + index * 11) % lines.length],
    ).join('\n'),
  );
}

const ones = filled(0x3f80);
const tenths = filled(0x3dcd);

/** One bfloat16 value, more often than any vector has it. */
function filled(bits: number): Uint8Array {
  return new Uint8Array(new Uint16Array(2 ** 16).fill(bits).buffer);
}

/** Norms are ones and layer scales tenths; null: random. */
function constantOf(name: string): Uint8Array | null {
  if (/norm\w*\.weight$|layer_scalar$|mlp1\.0\.weight$/.test(name)) return ones;
  return /\.(?:ls|lambda_)[12]$/.test(name) ? tenths : null;
}

function configOf(shape: Qwen2Sizes): Record<string, unknown> {
  return {
    architectures: ['Qwen2ForCausalLM'],
    model_type: 'qwen2',
    hidden_act: 'silu',
    dtype: 'bfloat16',
    tie_word_embeddings: false,
    use_sliding_window: false,
    num_hidden_layers: shape.layers,
    hidden_size: shape.hidden,
    intermediate_size: shape.intermediate,
    num_attention_heads: shape.heads,
    num_key_value_heads: shape.kvHeads,
    vocab_size: shape.vocabulary,
    max_position_embeddings: 32_768,
    rms_norm_eps: 1e-6,
    rope_theta: 1e6,
  };
}

/** bfloat16 values, uniform with the standard deviation 0.02. */
function randomPattern(patternBytes: number): Uint8Array {
  const values = new Uint16Array(patternBytes / 2);
  const value = new Float32Array(1);
  const bits = new Uint16Array(value.buffer);
  let state = 1;
  for (let index = 0; index < values.length; index += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    value[0] = (state / 2 ** 32 - 0.5) * 0.02 * Math.sqrt(12);
    values[index] = at(bits, 1);
  }
  return new Uint8Array(values.buffer);
}

async function* repeated(
  pattern: Uint8Array,
  bytes: number,
  seed: number,
): AsyncGenerator<Uint8Array> {
  let position = (seed * 2_000_006) % pattern.length;
  for (let left = bytes; left > 0; position = 0) {
    const piece = pattern.subarray(position, Math.min(pattern.length, position + left));
    left -= piece.length;
    yield piece;
  }
}
