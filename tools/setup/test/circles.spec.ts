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

const frame = { 'libs/service/src/index.ts': 'export const frame = 1;\n' };
const worker = { 'libs/service/src/worker/index.ts': 'export const worker = 1;\n' };
const ofTypes = "import type { B } from './b.js';\nexport interface A { b: B }\n";

it('finds a circle that only types close, and engine threads that reach the frame of services by another module', () => {
  const { passed, output } = cruise({
    'a.ts': ofTypes,
    'b.ts': "import type { A } from './a.js';\nexport interface B { a: A }\n",
    ...frame,
    'services/a/src/engine.ts': "export { task } from './task.js';\n",
    'services/a/src/outcome/worker.ts': "export { task } from '../task.js';\n",
    'services/a/src/task.ts':
      "import { frame } from '../../../libs/service/src/index.js';\nexport const task = frame;\n",
  });
  expect(output).toMatch(/no-circular: .*[ab]\.ts/);
  expect(output).toMatch(/no-service-in-engine-thread: .*engine\.ts/);
  expect(output).toMatch(/no-service-in-engine-thread: .*outcome\/worker\.ts/);
  expect(passed).toBe(false);
});

it("lets modules pass that end somewhere, threads have the thread's end, and the service the frame", () => {
  const { passed, output } = cruise({
    'a.ts': ofTypes,
    'b.ts': 'export interface B { b: number }\n',
    ...{ ...frame, ...worker },
    'services/a/src/engine.ts':
      "export { worker } from '../../../libs/service/src/worker/index.js';\n",
    'services/a/src/main.ts': "export { frame } from '../../../libs/service/src/index.js';\n",
  });
  expect(output).toContain('6 modules, 3 dependencies cruised');
  expect(passed).toBe(true);
});
