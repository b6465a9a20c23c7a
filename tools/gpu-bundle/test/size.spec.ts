import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { checkoutBytes, maximumFolderBytes, maximumTogetherBytes } from '../size.mjs';

const repository = fileURLToPath(new URL('../../../', import.meta.url));

describe('checkoutBytes', () => {
  it('leaves room for the folder that goes to a GPU machine with it', () => {
    const bytes = checkoutBytes(repository);

    expect(bytes).toBeGreaterThan(10_000_000);
    expect(bytes).toBeLessThanOrEqual(maximumTogetherBytes - maximumFolderBytes);
  });

  it('is without what .gitignore names, where there is no git', async () => {
    const root = await mkdtemp(join(tmpdir(), 'emloc-checkout-'));
    for (const folder of ['docs', 'node_modules/a', 'libs/b/dist', 'out'])
      await mkdir(join(root, folder), { recursive: true });
    const files = { '.gitignore': 'node_modules/\ndist/\n/out/\n', 'docs/a.md': '12345' };
    const ignored = ['node_modules/a/index.js', 'libs/b/dist/b.mjs', 'out/adapter'];
    for (const [file, text] of Object.entries(files)) await writeFile(join(root, file), text);
    for (const file of ignored) await writeFile(join(root, file), 'x'.repeat(1000));

    expect(checkoutBytes(root)).toBe(files['.gitignore'].length + 5);
    await rm(root, { recursive: true });
  });
});
