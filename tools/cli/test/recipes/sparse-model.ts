import { copyFile, cp, mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fluxConfigs, fluxShape, shapeNamed } from '@emloc/bench/shapes';
import { fluxLayouts, layoutOf, type FluxConfigs, type ModelLayout } from '@emloc/models';

/** A tensor of a checkpoint whose values nobody reads. */
interface Shape {
  readonly name: string;
  readonly shape: readonly number[];
}

const bytesPerElement = 2;
const headerAlignmentBytes = 8;

/**
 * Writes a model of a published shape: configs, tokenizers, and safetensors whose weights are holes
 * in their files, so that a plan sees the whole model and the disk holds next to nothing.
 */
export async function writeSparseModel(folder: string, name: string): Promise<void> {
  if (name === fluxShape) return await writeSparseFlux(folder);
  const { config, tokenizer } = shapeNamed(name);
  await mkdir(folder, { recursive: true });
  for (const file of ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'])
    await copyFile(join(tokenizer, file), join(folder, file));
  await writeJson(join(folder, 'config.json'), config);
  await writeHoles(join(folder, 'model.safetensors'), shapesIn([layoutOf(config)]));
}

const example = 'examples/flux/model';

/** Configs of the example in the sizes as published. */
const published = {
  clip: { vocab_size: 49_408, num_hidden_layers: 12, eos_token_id: 733 },
  t5: { vocab_size: 32_128, d_kv: 64 },
  vae: { norm_num_groups: 32 },
};

async function writeSparseFlux(folder: string): Promise<void> {
  for (const part of ['tokenizer', 'tokenizer_2', 'scheduler', 'model_index.json'])
    await cp(join(example, part), join(folder, part), { recursive: true });
  const ofExample = async (part: string): Promise<Record<string, unknown>> =>
    JSON.parse(await readFile(join(example, part, 'config.json'), 'utf8')) as Record<
      string,
      unknown
    >;
  const configs: FluxConfigs = {
    ...fluxConfigs,
    clip: { ...(await ofExample('text_encoder')), ...fluxConfigs.clip, ...published.clip },
    t5: { ...(await ofExample('text_encoder_2')), ...fluxConfigs.t5, ...published.t5 },
    vae: { ...(await ofExample('vae')), ...fluxConfigs.vae, ...published.vae },
  };
  const { transformer, clip, t5, vaeEncoder, vaeDecoder } = fluxLayouts(configs);
  const parts = [
    ['transformer', 'diffusion_pytorch_model', configs.transformer, [transformer]],
    ['text_encoder', 'model', configs.clip, [clip]],
    ['text_encoder_2', 'model', configs.t5, [t5]],
    ['vae', 'diffusion_pytorch_model', configs.vae, [vaeEncoder, vaeDecoder]],
  ] as const;
  for (const [part, stem, config, layouts] of parts) {
    await writeJson(join(folder, part, 'config.json'), config);
    await writeHoles(join(folder, part, `${stem}.safetensors`), shapesIn(layouts));
  }
}

function shapesIn(layouts: readonly ModelLayout[]): readonly Shape[] {
  const pages = layouts.flatMap((layout) => layout.pages.flatMap((page) => page.tensors));
  const tables = layouts.flatMap((layout) => layout.tables);
  const shapes = new Map<string, readonly number[]>([
    ...pages.map(
      ({ checkpointName, shape, storedShape = shape }) => [checkpointName, storedShape] as const,
    ),
    ...tables.map(
      ({ checkpointName, entries, width }) => [checkpointName, [entries, width]] as const,
    ),
  ]);
  return [...shapes].map(([name, shape]) => ({ name, shape }));
}

async function writeHoles(path: string, tensors: readonly Shape[]): Promise<void> {
  let end = 0;
  const header: Record<string, unknown> = {};
  for (const { name, shape } of tensors) {
    const begin = end;
    end += bytesPerElement * shape.reduce((product, size) => product * size, 1);
    header[name] = { dtype: 'BF16', shape, data_offsets: [begin, end] };
  }
  const text = JSON.stringify(header);
  const padded = text.padEnd(Math.ceil(text.length / headerAlignmentBytes) * headerAlignmentBytes);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(padded.length));
  await mkdir(dirname(path), { recursive: true });
  await using file = await open(path, 'w');
  await file.writeFile(Buffer.concat([size, Buffer.from(padded)]));
  await file.truncate(size.length + padded.length + end);
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, JSON.stringify(value));
}
