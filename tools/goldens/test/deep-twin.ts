import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { at } from '@emloc/checked';
import { openModel } from '@emloc/models';

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [from: number, to: number];
}

type Config = Record<string, unknown>;

const lengthBytes = 8;
const weights = 'model.safetensors';
/** Lists of a config that have an element a layer. */
const perLayer = ['layer_types', 'no_rope_layers'];

/** Tensors beside the layers that have a part a layer: rows, or parts of every row. */
const parted = /\.(embed_tokens_per_layer|per_layer_model_projection)\.weight$/;

/** Layers before and after a model is made deeper. */
interface Depth {
  readonly count: number;
  readonly layers: number;
  /** The first of those that are repeated: of layers that share what others made, all do. */
  readonly first: number;
}

/**
 * Copies a model with a multiple of the layers that it has: they repeat, with other lowest bits in
 * weights.
 */
export async function writeDeepTwin(folder: string, out: string, layers: number): Promise<void> {
  const model = await openModel(folder);
  const { prefix, count } = at(model.layout.numbered, 0);
  await model.close();
  await cp(folder, out, { recursive: true });
  const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')) as Config;
  const shared = Number(textOf(config)['num_kv_shared_layers'] ?? 0);
  const depth = { count, layers, first: shared === 0 ? 0 : count - shared };
  await writeFile(join(out, 'config.json'), JSON.stringify(deeper(config, depth)));
  const file = await readFile(join(folder, weights));
  await writeFile(join(out, weights), repeated(file, { prefix, depth }));
}

function textOf(config: Config): Config {
  const text = config['text_config'];
  return typeof text === 'object' && text !== null ? (text as Config) : config;
}

/** The layer that one of the twin's is made of. */
function sourceOf(layer: number, { count, first }: Depth): number {
  return layer < count ? layer : first + ((layer - first) % (count - first));
}

/** Of a wrapper, the config of its language model is changed. */
function deeper(config: Config, depth: Depth): Config {
  const text = textOf(config);
  if (text !== config) return { ...config, text_config: deeper(text, depth) };
  const sources = Array.from({ length: depth.layers }, (_, layer) => sourceOf(layer, depth));
  const lists = perLayer.flatMap((key) => {
    const list = config[key];
    return Array.isArray(list) ? [[key, sources.map((layer) => list[layer] as unknown)]] : [];
  });
  const shared = depth.first === 0 ? {} : { num_kv_shared_layers: depth.layers - depth.first };
  const numbers = { num_hidden_layers: depth.layers, ...shared };
  return { ...config, ...Object.fromEntries(lists), ...overrides(config, sources), ...numbers };
}

/** Numbers of single layers, by their index as text. */
function overrides({ per_layer_config: given }: Config, sources: readonly number[]): Config {
  if (typeof given !== 'object' || given === null) return {};
  const own = new Map(Object.entries(given));
  const entries = sources.flatMap((source, layer) => {
    const numbers: unknown = own.get(String(source));
    return numbers === undefined ? [] : [[String(layer), numbers] as const];
  });
  return { per_layer_config: Object.fromEntries(entries) };
}

function repeated(
  file: Buffer,
  { prefix, depth }: { readonly prefix: string; readonly depth: Depth },
): Buffer {
  const { count, layers } = depth;
  const end = lengthBytes + Number(file.readBigUInt64LE());
  const header = JSON.parse(file.toString('utf8', lengthBytes, end)) as Record<string, Entry>;
  delete header['__metadata__'];
  const written: Record<string, Entry> = {};
  const parts: Buffer[] = [];
  let start = 0;
  const add = (name: string, entry: Entry, data: Buffer): void => {
    written[name] = { ...entry, data_offsets: [start, start + data.length] };
    parts.push(data);
    start += data.length;
  };
  const addParted = (name: string, entry: Entry, data: Buffer): void => {
    const [rows, columns] = [at(entry.shape, 0), at(entry.shape, 1)];
    const times = layers / count;
    const isTable = name.includes('embed_tokens');
    const rowBytes = isTable ? data.length / rows : data.length;
    const copies = Array.from({ length: data.length / rowBytes }, (_, row) =>
      Array.from({ length: times }, () => data.subarray(row * rowBytes, (row + 1) * rowBytes)),
    );
    const shape = isTable ? [rows, times * columns] : [times * rows, columns];
    add(name, { ...entry, shape }, Buffer.concat(copies.flat()));
  };
  for (const [name, entry] of Object.entries(header)) {
    const data = file.subarray(end + entry.data_offsets[0], end + entry.data_offsets[1]);
    const [, number, rest] = name.startsWith(`${prefix}.`)
      ? (/^(\d+)(\..*)$/.exec(name.slice(prefix.length + 1)) ?? [])
      : [];
    if (number === undefined && parted.test(name)) addParted(name, entry, data);
    else if (number === undefined) add(name, entry, data);
    for (let layer = 0; layer < layers; layer += 1)
      if (sourceOf(layer, depth) === Number(number))
        add(`${prefix}.${layer}${rest}`, entry, withOtherBits(data, layer));
  }
  const text = Buffer.from(JSON.stringify(written));
  const length = Buffer.alloc(lengthBytes);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...parts]);
}

/** bf16 values whose lowest bits are those of a layer's own. */
function withOtherBits(data: Buffer, layer: number): Buffer {
  const changed = Buffer.from(data);
  for (let low = 0; low < changed.length; low += 2)
    changed.writeUInt8(changed.readUInt8(low) ^ layer, low);
  return changed;
}
