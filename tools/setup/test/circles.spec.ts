import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** What the repository's rule says of some files in a folder of their own. */
function cruise(files: Readonly<Record<string, string>>): { passed: boolean; output: string } {
  const folder = mkdtempSync(join(tmpdir(), 'emloc-circles-'));
  try {
    for (const [name, code] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), code);
    }
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

describe('the rule for engine threads', () => {
  const frame = { 'libs/service/src/index.ts': 'export const frame = 1;\n' };
  const worker = { 'libs/service/src/worker/index.ts': 'export const worker = 1;\n' };

  it.each(['engine.ts', 'outcome/worker.ts'])(
    'finds that %s reaches the frame of services by another module',
    (entry) => {
      const up = entry.includes('/') ? '../' : './';
      const { passed, output } = cruise({
        ...frame,
        [`services/a/src/${entry}`]: `export { task } from '${up}task.js';\n`,
        'services/a/src/task.ts':
          "import { frame } from '../../../libs/service/src/index.js';\nexport const task = frame;\n",
      });
      expect(output).toMatch(/no-service-in-engine-thread: .*\.ts/);
      expect(passed).toBe(false);
    },
  );

  it("lets them have the thread's end, and the service the frame", () => {
    const { passed, output } = cruise({
      ...{ ...frame, ...worker },
      'services/a/src/engine.ts':
        "export { worker } from '../../../libs/service/src/worker/index.js';\n",
      'services/a/src/main.ts': "export { frame } from '../../../libs/service/src/index.js';\n",
    });
    expect(output).toContain('2 dependencies cruised');
    expect(passed).toBe(true);
  });
});
