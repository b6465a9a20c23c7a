import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeSafetensors } from '@emloc/checkpoint';
import { layoutOf } from '@emloc/models';

export interface RandomModelOptions {
  /** A Qwen2 checkpoint whose tokenizer is taken. */
  readonly base: string;
  readonly layers: number;
  /** Also the size of the MLP, threefold. */
  readonly hidden: number;
}

/**
 * Writes a checkpoint with tied embeddings and weights that mean nothing, for blocks of any size.
 */
export async function writeRandomModel(
  folder: string,
  { base, layers, hidden }: RandomModelOptions,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const file of ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'])
    await cp(join(base, file), join(folder, file));
  const given = JSON.parse(await readFile(join(base, 'config.json'), 'utf8')) as object;
  const config = {
    ...given,
    dtype: 'float32',
    hidden_size: hidden,
    intermediate_size: 3 * hidden,
    num_hidden_layers: layers,
    num_attention_heads: 4,
    num_key_value_heads: 4,
    layer_types: Array(layers).fill('full_attention'),
    max_window_layers: layers,
  };
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  const valueOf = smallValues();
  const tensors = layoutOf(config).pages.flatMap((page) => page.tensors);
  await writeSafetensors(
    join(folder, 'model.safetensors'),
    tensors.map(({ checkpointName: name, shape }) => {
      const values = Float32Array.from(
        { length: shape.reduce((product, size) => product * size, 1) },
        valueOf,
      );
      return { name, shape, dtype: 'float32' as const, data: () => new Uint8Array(values.buffer) };
    }),
    { format: 'pt' },
  );
}

/** Values between -0.05 and 0.05, the same in every run. */
function smallValues(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32 - 0.5) / 10;
  };
}
