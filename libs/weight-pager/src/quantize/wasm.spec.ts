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
    const [build, entry] = ['../../../../tools/setup/assembly.mjs', '../../assembly/index.ts'].map(
      (file) => fileURLToPath(new URL(file, import.meta.url)),
    ) as [string, string];
    execFileSync(process.execPath, [build, entry, output], { stdio: 'pipe' });
    const committed = readFileSync(new URL('./quantize.wasm', import.meta.url));
    expect(readFileSync(output).equals(committed)).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
