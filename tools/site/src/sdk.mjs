/** Prints the page of the SDK's types. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

import { sdkPage } from './sdk-page.mjs';

const folder = mkdtempSync(join(tmpdir(), 'emloc-sdk-page-'));
try {
  process.stdout.write(await sdkPage(folder));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
