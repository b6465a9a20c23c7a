import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

test('what quantises is what assembly/ compiles to', () => {
  const folder = mkdtempSync(join(tmpdir(), 'emloc-quantize-'));
  try {
    const output = join(folder, 'quantize.wasm');
    const build = fileURLToPath(new URL('../../assembly/build.mjs', import.meta.url));
    execFileSync(process.execPath, [build, output], { stdio: 'pipe' });
    const committed = readFileSync(new URL('./quantize.wasm', import.meta.url));
    expect(readFileSync(output).equals(committed)).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
