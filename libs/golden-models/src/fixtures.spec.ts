import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { fixtureNames, unpackFixture } from './fixtures.js';
import { readGolden } from './golden.js';

interface TensorEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** Header and the bf16 values of a safetensors file. */
async function readTensors(file: string) {
  const data = await readFile(file);
  const end = 8 + Number(data.readBigUInt64LE());
  const header = JSON.parse(data.toString('utf8', 8, end)) as Record<string, TensorEntry>;
  const tensors = Object.entries(header).filter(([name]) => name !== '__metadata__');
  const values = (entry: TensorEntry): number[] => {
    const [from, to] = entry.data_offsets;
    return Array.from({ length: (to - from) / 2 }, (_, index) => {
      const bits = Buffer.alloc(4);
      data.copy(bits, 2, end + from + 2 * index, end + from + 2 * index + 2);
      return bits.readFloatLE();
    });
  };
  return { tensors, values, bytes: data.length - end };
}

describe('unpackFixture', () => {
  const names = fixtureNames();

  it('has one of every dense text family', () => {
    const prefixes = ['gemma2', 'gemma3', 'glm4', 'granite', 'internlm2', 'internlm3', 'llama'];
    prefixes.push('ministral3', 'mistral', 'olmo2', 'olmo3', 'phi3', 'phi4', 'qwen2', 'qwen3');
    prefixes.push('smollm3');

    for (const prefix of prefixes)
      expect(names.filter((name) => name.startsWith(prefix))).not.toEqual([]);
  });

  it.each(names)('unpacks %s to a checkpoint and its golden', async (name) => {
    const { folder, golden, close } = await unpackFixture(name);
    const { tensors, values, bytes } = await readTensors(join(folder, 'model.safetensors'));

    expect(await readGolden(folder)).toEqual(golden);
    expect(golden.sequences.length).toBeGreaterThan(1);
    expect(golden.lora.gradients.size).toBeGreaterThan(0);
    expect(Math.max(...tensors.map(([, entry]) => entry.data_offsets[1]))).toBe(bytes);
    // What has no dimensions bounds other values, and may be infinite.
    const planes = tensors.filter(([, { dtype, shape }]) => dtype === 'BF16' && shape.length > 0);
    expect(planes.length).toBeGreaterThan(15);
    for (const [tensor, entry] of planes) {
      const size = entry.shape.reduce((product, extent) => product * extent, 1);
      const found = values(entry);
      const spread = Math.sqrt(found.reduce((sum, value) => sum + value ** 2, 0) / size);
      expect([tensor, found.length]).toEqual([tensor, size]);
      // Planes in the wrong order make numbers of any size.
      expect(spread).toBeGreaterThan(0.03);
      expect(spread).toBeLessThan(1.5);
    }
    await close();
    await expect(stat(folder)).rejects.toThrow('ENOENT');
  });

  it('adds a tokenizer if asked for', async () => {
    const without = await unpackFixture('qwen3');
    const withTokenizer = await unpackFixture('qwen3', { tokenizer: true });
    const files = ['config.json', 'golden.json', 'model.safetensors'];

    expect((await readdir(without.folder)).sort()).toEqual(files);
    expect((await readdir(withTokenizer.folder)).sort()).toEqual(
      [...files, 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json'].sort(),
    );
    await Promise.all([without.close(), withTokenizer.close()]);
  });

  it('gives tensors other names and the same values', async () => {
    const plain = await unpackFixture('mistral3-wrapper');
    const prefix = 'model.language_model.';
    const renamed = await unpackFixture('mistral3-wrapper', {
      rename: (name) => (name.startsWith(prefix) ? `text.${name.slice(prefix.length)}` : name),
    });
    const [before, after] = await Promise.all(
      [plain, renamed].map(({ folder }) => readTensors(join(folder, 'model.safetensors'))),
    );
    await Promise.all([plain.close(), renamed.close()]);

    const names = after?.tensors.map(([name]) => name) ?? [];
    expect(names).toContain('text.norm.weight');
    expect(names.filter((name) => name.startsWith(prefix))).toEqual([]);
    const all = (file: typeof before) => file?.tensors.map(([, entry]) => file.values(entry));
    expect(all(after)).toEqual(all(before));
  });

  it('refuses a name without a fixture', async () => {
    await expect(unpackFixture('no-family')).rejects.toThrow('no-family.golden.br');
  });
});
