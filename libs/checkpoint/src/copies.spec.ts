import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import {
  expectRefusal,
  inFolder,
  tinyAdapter,
  tinyTensors,
  writeTinyModel,
} from '../test/fixtures.js';
import { fromFloat32, toFloat32, type FloatDType } from './floats.js';
import { loraTensorName } from './peft-names.js';
import { readPeftAdapter } from './read-peft.js';
import { writePeftAdapter } from './write-peft.js';
import { writeSafetensors, type SafetensorsEntry } from './write-safetensors.js';

const embedding = 'model.embed_tokens.weight';
const { shape = [], values = new Float32Array() } = tinyTensors().get(embedding) ?? {};
const stored = toFloat32(fromFloat32(values, 'bfloat16'), 'bfloat16');

/** An adapter as PEFT saves it beside a base in bfloat16, with a copy of one of its tensors. */
async function writeCopied(
  folder: string,
  name: string,
  copy: Float32Array,
  { dtype = 'float32', extents = shape }: { dtype?: FloatDType; extents?: number[] } = {},
): Promise<{ readonly adapter: string; readonly base: string }> {
  const [adapter, base] = [join(folder, 'adapter'), join(folder, 'base')];
  await writeTinyModel(base, { dtype: 'bfloat16', shards: 2 });
  const { layers, rank } = tinyAdapter();
  await writePeftAdapter(adapter, tinyAdapter());
  const lora = [...layers].flatMap(([path, { a, b, inFeatures, outFeatures }]) => [
    entry(loraTensorName(path, 'a'), [rank, inFeatures], a),
    entry(loraTensorName(path, 'b'), [outFeatures, rank], b),
  ]);
  const copied = { ...entry(name, extents, copy), dtype, data: () => fromFloat32(copy, dtype) };
  await writeSafetensors(join(adapter, 'adapter_model.safetensors'), [...lora, copied], {});
  return { adapter, base };
}

function entry(name: string, extents: number[], data: Float32Array): SafetensorsEntry {
  return { name, shape: extents, dtype: 'float32', data: () => fromFloat32(data, 'float32') };
}

const names = [
  'base_model.model.model.embed_tokens.weight',
  'base_model.model.model.embed_tokens.base_layer.weight',
  // The base's head is tied: it is its embedding.
  'base_model.model.lm_head.base_layer.weight',
];

describe.each(names)('the copy %s in an adapter', (name) => {
  it.each(['float32', 'bfloat16'] as const)("in %s is left out where it is the base's", (dtype) =>
    inFolder(async (folder) => {
      const { adapter, base } = await writeCopied(folder, name, stored, { dtype });
      const read = await readPeftAdapter(adapter, { base });
      expect(new Set(read.layers.keys())).toEqual(new Set(tinyAdapter().layers.keys()));
    }),
  );

  it('is refused by name where one value differs', () =>
    inFolder(async (folder) => {
      const { adapter, base } = await writeCopied(folder, name, stored.with(71, 0.25));
      await expectRefusal(
        readPeftAdapter(adapter, { base }),
        'CHECKPOINT_ADAPTER_UNSUPPORTED',
        new RegExp(`${name} .* differs from it \\(0.25 where the base has`),
      );
    }));

  it('is refused by name without a base, and of another shape', () =>
    inFolder(async (folder) => {
      const { adapter } = await writeCopied(folder, name, stored);
      await expectRefusal(
        readPeftAdapter(adapter),
        'CHECKPOINT_ADAPTER_UNSUPPORTED',
        new RegExp(`${name} .* without the base`),
      );
      const longer = await writeCopied(folder, name, new Float32Array(13 * 6), {
        extents: [13, 6],
      });
      await expectRefusal(
        readPeftAdapter(longer.adapter, { base: longer.base }),
        'CHECKPOINT_ADAPTER_UNSUPPORTED',
        /shape \[13, 6\], the base's \[12, 6\]/,
      );
    }));

  it('is refused where it is not finite', () =>
    inFolder(async (folder) => {
      const { adapter, base } = await writeCopied(folder, name, stored.with(3, Number.NaN));
      await expectRefusal(
        readPeftAdapter(adapter, { base }),
        'CHECKPOINT_NOT_FINITE',
        new RegExp(`${name} in .*adapter_model.safetensors holds NaN`),
      );
    }));
});

it('names a copy of what the base does not have', () =>
  inFolder(async (folder) => {
    const name = 'base_model.model.score.weight';
    const { adapter, base } = await writeCopied(folder, name, stored);
    await expectRefusal(
      readPeftAdapter(adapter, { base }),
      'CHECKPOINT_ADAPTER_UNSUPPORTED',
      /score.weight .* does not have/,
    );
  }));

it.each(['lora_A', 'lora_B'])('names %s that is not finite, with its file', (matrix) =>
  inFolder(async (folder) => {
    await writePeftAdapter(folder, tinyAdapter());
    const path = join(folder, 'adapter_model.safetensors');
    const bytes = await readFile(path);
    const name = `layers.1.mlp.down_proj.${matrix}.weight`;
    const end = new RegExp(`${name}"[^}]*"data_offsets":\\[\\d+,(\\d+)\\]`).exec(
      bytes.toString('latin1'),
    );
    bytes.writeFloatLE(Infinity, 8 + Number(bytes.readBigUInt64LE()) + Number(end?.[1]) - 4);
    await writeFile(path, bytes);
    await expectRefusal(
      readPeftAdapter(folder),
      'CHECKPOINT_NOT_FINITE',
      new RegExp(`${name} in .*adapter_model.safetensors holds Infinity`),
    );
  }),
);
