import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { unpackFixture } from '@emloc/golden-models';

import { pack } from '../pack.mjs';

const fixtures = fileURLToPath(new URL('../../../libs/golden-models/fixtures/', import.meta.url));

describe('pack', () => {
  it('makes again what a fixture was unpacked from, to the byte', async () => {
    const { folder, close } = await unpackFixture('phi4-mini');
    const names = ['config.json', 'golden.json', 'model.safetensors'];
    const files = await Promise.all(
      names.map(async (name) => [name, await readFile(join(folder, name))] as const),
    );
    await close();

    const packed = pack(Object.fromEntries(files));
    expect(Buffer.compare(packed, await readFile(join(fixtures, 'phi4-mini.golden.br')))).toBe(0);
  });

  it('refuses tensors that are not bf16', () => {
    const header = Buffer.from(JSON.stringify({ a: { dtype: 'F32', data_offsets: [0, 4] } }));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));

    expect(() =>
      pack({ 'model.safetensors': Buffer.concat([length, header, Buffer.alloc(4)]) }),
    ).toThrow('a is F32');
  });
});
