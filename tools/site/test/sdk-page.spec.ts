import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));

it('tells every type of the SDK as it is in docs/reference/sdk.md', () => {
  const { NODE_OPTIONS: _own, ...env } = process.env;
  const program = join(root, 'tools/site/src/sdk.mjs');
  const options = { env, cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26 } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [program], options);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toContain('### EmlocClient');
  expect(stdout).toContain('createJob(');
  const file = join(root, 'docs/reference/sdk.md');
  if (process.env['UPDATE_DOCS']) writeFileSync(file, stdout);
  expect(readFileSync(file, 'utf8')).toBe(stdout);
});
