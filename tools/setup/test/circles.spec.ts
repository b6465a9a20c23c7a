import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** What the repository's rule says of some files in a folder of their own. */
function cruise(files: Readonly<Record<string, string>>): { passed: boolean; output: string } {
  const folder = mkdtempSync(join(tmpdir(), 'emloc-circles-'));
  try {
    for (const [name, code] of Object.entries(files)) writeFileSync(join(folder, name), code);
    const { status, stdout } = spawnSync(
      process.execPath,
      [
        join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs'),
        '--config',
        join(root, 'tools/setup/circles.mjs'),
        folder,
      ],
      { cwd: root, encoding: 'utf8' },
    );
    return { passed: status === 0, output: stdout };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('the rule against circles', () => {
  it('finds one that only types close', () => {
    const { passed, output } = cruise({
      'a.ts': "import type { B } from './b.js';\nexport interface A { b: B }\n",
      'b.ts': "import type { A } from './a.js';\nexport interface B { a: A }\n",
    });

    expect(output).toMatch(/no-circular: .*[ab]\.ts/);
    expect(passed).toBe(false);
  });

  it('lets modules pass that end somewhere', () => {
    const { passed, output } = cruise({
      'a.ts': "import type { B } from './b.js';\nexport interface A { b: B }\n",
      'b.ts': 'export interface B { b: number }\n',
    });

    expect(output).toContain('2 modules, 1 dependencies cruised');
    expect(passed).toBe(true);
  });
});
