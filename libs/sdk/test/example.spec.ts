import { execFile, type ExecFileException } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { finishJob } from '../src/testing/index.js';
import { closeAll, start, temporaryFolder } from './fixtures.js';

afterEach(closeAll);

const root = fileURLToPath(new URL('../../..', import.meta.url));

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(
  command: string,
  args: readonly string[],
  { cwd = root, env = {} }: { cwd?: string; env?: Record<string, string> } = {},
): Promise<Run> {
  return new Promise((resolve) => {
    execFile(
      command,
      args,
      { cwd, env: { ...process.env, ...env } },
      (error: ExecFileException | null, stdout, stderr) => {
        resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
      },
    );
  });
}

/** Bundles a program as the example says. Returns the file to run. */
async function bundle(source: string): Promise<string> {
  const outfile = join(await temporaryFolder(), 'program.cjs');
  const built = await run(join(root, 'node_modules/.bin/esbuild'), [
    source,
    '--bundle',
    '--platform=node',
    '--target=node20',
    `--outfile=${outfile}`,
  ]);
  expect(built).toMatchObject({ code: 0 });
  return outfile;
}

async function deploymentThatFinishes() {
  const deployment = await start();
  deployment.service.plan = { fits: true, budgetBytes: 2n, neededBytes: 1n };
  deployment.service.onCreated = (name) => finishJob(deployment.service, name);
  return deployment;
}

describe('examples/sdk/fine-tune.ts', () => {
  it('uploads, creates, watches and downloads', async () => {
    const { address, service } = await deploymentThatFinishes();
    const out = join(await temporaryFolder(), 'adapter');
    const program = await bundle('examples/sdk/fine-tune.ts');
    const { code, stdout } = await run(
      process.execPath,
      [program, '/models/base', 'examples/data/test.jsonl', out],
      { env: { EMLOC_SERVER: address } },
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/jobs\/j1 created\n(.|\n)*step 1 of 1: loss 0\.500\n(.|\n)*adapter in/);
    expect(await readdir(out)).toContain('adapter_model.safetensors');
    expect(service.job('jobs/j1').options?.model).toBe('/models/base');
    const again = await run(process.execPath, [program, '/models/base', 'none', out], {
      env: { EMLOC_SERVER: address, JOB: 'jobs/j1' },
    });
    expect([again.code, service.counts.createJob]).toEqual([0, 1]);
    expect(
      await run(process.execPath, [program], { env: { EMLOC_SERVER: address, JOB: 'jobs/j9' } }),
    ).toMatchObject({ code: 1, stderr: expect.stringContaining('NOT_FOUND') });
  });
});

describe('README.md', () => {
  it('has an example that runs', async () => {
    const { address } = await deploymentThatFinishes();
    const readme = await readFile(join(root, 'libs/sdk/README.md'), 'utf8');
    const [, program = ''] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
    const folder = await temporaryFolder();
    const source = join(folder, 'program.ts');
    await writeFile(
      source,
      program
        .replace("from '@emloc/sdk'", `from ${JSON.stringify(join(root, 'libs/sdk/src/index.ts'))}`)
        .replace("'examples/", `'${root}examples/`),
    );
    const { code, stderr } = await run(process.execPath, [await bundle(source)], {
      cwd: folder,
      env: { EMLOC_SERVER: address },
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(await readdir(join(folder, 'out/my-adapter'))).toContain('adapter_config.json');
  });
});
