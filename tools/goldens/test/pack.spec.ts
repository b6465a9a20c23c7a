import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { unpackFixture } from '@emloc/golden-models';

import { pack } from '../pack.mjs';

const fixtures = fileURLToPath(new URL('../../../libs/golden-models/fixtures/', import.meta.url));

describe('pack', () => {
  it.each([
    ['of bf16 alone', 'phi4-mini'],
    ['with float32 before it', 'qwen3_5-wrapper'],
  ])('makes again what a fixture %s was unpacked from, to the byte', async (_, name) => {
    const { folder, close } = await unpackFixture(name);
    const names = ['config.json', 'golden.json', 'model.safetensors'];
    const files = await Promise.all(
      names.map(async (file) => [file, await readFile(join(folder, file))] as const),
    );
    await close();

    const packed = pack(Object.fromEntries(files));
    expect(Buffer.compare(packed, await readFile(join(fixtures, `${name}.golden.br`)))).toBe(0);
  });
});
