import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startFakeDeployment } from '@emloc/sdk/testing';

const root = fileURLToPath(new URL('../../..', import.meta.url));

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

it('fine-tunes and scores from the installed command, away from the checkout', async () => {
  const examples = join(root, 'examples');
  await cp(join(examples, 'models/tiny-qwen2'), join(folder, 'model'), { recursive: true });
  const rows = (await readFile(join(examples, 'data/train.jsonl'), 'utf8')).split('\n');
  await writeFile(join(folder, 'rows.jsonl'), `${rows.slice(0, 48).join('\n')}\n`);
  const given = ['--model', 'model', '--data', 'rows.jsonl', '--max-length', '64'];
  const common = [...given, '--vram', '1GiB', '--json'];
  const job = ['--steps', '2', '--batch', '4', '--calibration', '4'];
  const tuned: unknown = JSON.parse(await emloc('tune', ...common, ...job, '--out', 'adapter'));
  expect(tuned).toMatchObject({ train: { steps: 2 }, ending: 'sound' });
  const scored: unknown = JSON.parse(await emloc('eval', ...common, '--adapter', 'adapter'));
  expect(scored).toMatchObject({ loss: expect.any(Number) });
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
