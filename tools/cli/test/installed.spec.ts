import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startFakeDeployment } from '@emloc/sdk/testing';

const root = fileURLToPath(new URL('../../..', import.meta.url));

const quickstart = readFileSync(join(root, 'docs/guide/quickstart.md'), 'utf8');
const services = ['coordinator', 'calibrator', 'emulator-builder', 'trainer', 'corrector'];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'emloc-installed-'));
  await execute(process.execPath, [join(root, 'tools/setup/pack.mjs'), folder], root);
  const tarballs = (await readdir(folder)).filter((name) => name.endsWith('.tgz'));
  expect(tarballs).toHaveLength(2);
  const install = ['install', '--global', '--prefer-offline', '--no-audit', '--no-fund'];
  await execute('npm', [...install, '--prefix', join(folder, 'prefix'), ...tarballs], folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** @returns what it wrote to stdout @throws Error with what it wrote to stderr where it fails */
async function execute(
  command: string,
  args: readonly string[],
  cwd: string,
  added: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { NODE_OPTIONS: _own, ...env } = process.env;
  const options = { cwd, env: { ...env, ...added }, maxBuffer: 2 ** 26 };
  return (await promisify(execFile)(command, args, options)).stdout;
}

const installed = (): string => join(folder, 'prefix', 'lib', 'node_modules');

const emloc = (...args: readonly string[]): Promise<string> =>
  execute(join(folder, 'prefix', 'bin', 'emloc'), args, folder);

describe('the quickstart', () => {
  const blocks = [...quickstart.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block);

  it('is done command by command with the installed command, away from the checkout', async () => {
    await layOutExamples();
    // Fewer and shorter steps, so that it takes seconds.
    const given = blocks.map((block) =>
      block.replace('--steps 100', '--steps 6').replace('--max-length 128', '--max-length 64'),
    );
    const script = ['set -euo pipefail', ...given].join('\n');
    const path = `${join(folder, 'prefix', 'bin')}:${process.env['PATH'] ?? ''}`;
    await execute('bash', ['-c', script], folder, { PATH: path });
    for (const file of [
      'my-adapter/adapter_model.safetensors',
      'my-adapter/adapter_config.json',
      'my-adapter/report.html',
      'my-adapter/log.jsonl',
      'merged/model.safetensors',
      'my-adapter.gguf',
    ])
      expect([file, existsSync(join(folder, 'out', file))]).toEqual([file, true]);
  });

  it('has each of these commands', () => {
    const commands = blocks.join('\n').match(/^emloc \w+/gm) ?? [];
    const all = ['info', 'data', 'plan', 'tune', 'eval', 'generate', 'merge', 'export'];
    expect([...new Set(commands)]).toEqual(all.map((name) => `emloc ${name}`));
  });

  /** The page's places, with a model and rows that are smaller. */
  async function layOutExamples(): Promise<void> {
    const [from, to] = [join(root, 'examples'), join(folder, 'examples')];
    await cp(join(from, 'models/tiny-qwen2'), join(to, 'models/demo-5m'), { recursive: true });
    await mkdir(join(to, 'data'));
    for (const [file, count] of [
      ['train.jsonl', 40],
      ['test.jsonl', 4],
    ] as const) {
      const rows = (await readFile(join(from, 'data', file), 'utf8')).split('\n');
      await writeFile(join(to, 'data', file), `${rows.slice(0, count).join('\n')}\n`);
    }
  }
});

it('holds what the command starts and reads, and nothing of the workspace', async () => {
  const names = await readdir(join(installed(), 'emloc'), { recursive: true });
  for (const name of services) expect(names).toContain(join('dist', name, `${name}.mjs`));
  for (const name of ['LICENSE', 'NOTICE', 'CHANGELOG.md', 'THIRD-PARTY-LICENSES.txt'])
    expect(names).toContain(name);
  const ofThePackage = names.filter((name) => !name.startsWith('node_modules'));
  expect(ofThePackage.filter((name) => name.endsWith('.cu'))).not.toEqual([]);
  expect(ofThePackage.filter((name) => /\.map$|puts\.json$|\.spec\./.test(name))).toEqual([]);
  const manifest = await readFile(join(installed(), 'emloc', 'package.json'), 'utf8');
  expect(manifest).not.toMatch(/@emloc\/|"scripts"|workspaces/);
});

it('tells the version of the command and of every service', async () => {
  const version = /^\d+\.\d+\.\d+$/.exec((await emloc('--version')).trim())?.[0];
  expect(version).toBeDefined();
  for (const name of services) {
    const program = join(installed(), 'emloc', 'dist', name, `${name}.mjs`);
    const told = await execute(process.execPath, [program, '--version'], folder);
    expect(told).toBe(`${name} ${version}\n`);
  }
});

it('types and runs a program with the installed SDK against a deployment', async () => {
  const module = join(folder, 'program.mts');
  await cp(join(installed(), '@emloc'), join(folder, 'node_modules', '@emloc'), {
    recursive: true,
  });
  await writeFile(module, program);
  const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules/@types')];
  const language = ['--strict', '--target', 'es2023', '--lib', 'es2023,esnext.disposable'];
  const tsc = [join(root, 'node_modules/typescript/bin/tsc'), '--module', 'nodenext'];
  await execute(process.execPath, [...tsc, ...language, ...types, module], folder);
  const deployment = await startFakeDeployment({ token: 'of-a-tenant' });
  try {
    const told = await execute(process.execPath, [join(folder, 'program.mjs')], folder, {
      EMLOC_SERVER: deployment.address,
      EMLOC_TOKEN: 'of-a-tenant',
    });
    expect(JSON.parse(told)).toEqual({ state: 'queued', code: 'NOT_FOUND' });
  } finally {
    await deployment.close();
  }
});

/** Creates a job, and asks for one that is not there. */
const program = `
import { connect, isEmlocError, type Job } from '@emloc/sdk';

const { EMLOC_SERVER: address = '', EMLOC_TOKEN: token } = process.env;
const client = connect({ address, token });
const job: Job = await client.createJob({ options: { model: '/models/m', data: '/data/d' } });
const { state } = await client.getJob(job.name);
const code: string = await client.getJob('jobs/none').then(
  () => 'OK',
  (error: unknown) => (isEmlocError(error) ? error.code : String(error)),
);
client.close();
console.log(JSON.stringify({ state, code }));
`;
