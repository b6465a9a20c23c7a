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

/** Copies a model with more layers than it has: they repeat, with other lowest bits in weights. */
export async function writeDeepTwin(folder: string, out: string, layers: number): Promise<void> {
  const model = await openModel(folder);
  const { prefix, count } = at(model.layout.numbered, 0);
  await model.close();
  await cp(folder, out, { recursive: true });
  const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')) as Config;
  await writeFile(join(out, 'config.json'), JSON.stringify(deeper(config, layers)));
  const file = await readFile(join(folder, weights));
  await writeFile(join(out, weights), repeated(file, { prefix, count, layers }));
}

/** Of a wrapper, the config of its language model is changed. */
function deeper(config: Config, layers: number): Config {
  const text = config['text_config'];
  if (typeof text === 'object' && text !== null)
    return { ...config, text_config: deeper(text as Config, layers) };
  const lists = perLayer.flatMap((key) => {
    const list = config[key];
    if (!Array.isArray(list)) return [];
    return [
      [key, Array.from({ length: layers }, (_, index) => list[index % list.length] as unknown)],
    ];
  });
  return { ...config, ...Object.fromEntries(lists), num_hidden_layers: layers };
}

function repeated(
  file: Buffer,
  { prefix, count, layers }: { prefix: string; count: number; layers: number },
): Buffer {
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
  for (const [name, entry] of Object.entries(header)) {
    const data = file.subarray(end + entry.data_offsets[0], end + entry.data_offsets[1]);
    const [, number, rest] = name.startsWith(`${prefix}.`)
      ? (/^(\d+)(\..*)$/.exec(name.slice(prefix.length + 1)) ?? [])
      : [];
    if (number === undefined) add(name, entry, data);
    for (let layer = Number(number); layer < layers; layer += count)
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
