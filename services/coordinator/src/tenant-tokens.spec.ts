import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashToken } from '@emloc/rpc';
import { createLogger } from '@emloc/service';

import { tenantTokens } from './tenant-tokens.js';

const folder = mkdtempSync(join(tmpdir(), 'emloc-tokens-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const path = join(folder, 'tokens.json');
const options = {
  logger: createLogger({ service: 'test', level: 'silent' }),
  signal: AbortSignal.abort(),
};

test.each(['tomorrow', '2027-01-01', '2027-02-30T00:00:00Z', 1798761600000])(
  'expiresAt %s is no time that a token can expire at',
  async (expiresAt) => {
    writeFileSync(path, JSON.stringify([{ tenant: 'a', sha256: hashToken('a'), expiresAt }]));
    await expect(tenantTokens(path, options)).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      message: `options: tokens-file: ${path}: token 1: expiresAt must be an RFC 3339 time or null`,
    });
  },
);

test('a file that is no JSON is refused by its place, without its text', async () => {
  writeFileSync(path, `{"tenant": "a", "sha256": "${hashToken('a')}"}\n{"secret"`);
  await expect(tenantTokens(path, options)).rejects.toThrow(
    `options: tokens-file: ${path}: line 2 is no JSON`,
  );
});
