import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { serviceNames } from '@emloc/local-deployment';

import { buildPrograms, dist, root } from '../src/testing/index.js';
import {
  isInContext,
  readImage,
  sourceOf,
  stagesOf,
  unpackImage,
  type Image,
} from './cluster/image.js';
import {
  imageCommand,
  imageEnvironment,
  makeClusterFolder,
  userOf,
} from './cluster/local-cluster.js';

const folder = makeClusterFolder();
let image: Image;

beforeAll(() => {
  buildPrograms();
  image = readImage();
  unpackImage(image, folder.path);
});
afterAll(() => folder.remove());

/** Runs the image's entry point as the image's user. */
function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const [command = '', ...entrypoint] = imageCommand(image, folder.path);
  return spawnSync(command, [...entrypoint, ...args], {
    encoding: 'utf8',
    cwd: '/',
    env: imageEnvironment(image, folder.path),
    ...(userOf(image.user) ?? {}),
  });
}

test('the build is sent what it reads, and nothing that it makes itself', () => {
  const folders = readdirSync(dist).filter((name) => existsSync(join(dist, name, 'inputs.json')));
  const inputs = folders
    .flatMap(
      (name) => JSON.parse(readFileSync(join(dist, name, 'inputs.json'), 'utf8')) as string[],
    )
    .filter((file) => !file.startsWith('node_modules/'));
  const workspaces = ['libs', 'services', 'tools']
    .flatMap((group) =>
      readdirSync(join(root, group)).map((name) => `${group}/${name}/package.json`),
    )
    .filter((file) => existsSync(join(root, file)));
  const setup = readdirSync(join(root, 'tools/setup'))
    .filter((name) => name.endsWith('.mjs'))
    .map((name) => `tools/setup/${name}`);
  const read = [
    ...new Set([
      ...inputs,
      ...workspaces,
      ...setup,
      'package.json',
      'package-lock.json',
      'tsconfig.json',
      'tsconfig.base.json',
    ]),
  ];
  expect(folders).toEqual(expect.arrayContaining([...serviceNames, 'emloc']));
  expect(read.length).toBeGreaterThan(300);
  expect(read.filter((file) => !file.includes('/node_modules/') && !isInContext(file))).toEqual([]);
  const made = [
    'node_modules/koffi/index.js',
    'tools/cli/node_modules/yaml/package.json',
    'dist/trainer/trainer.mjs',
    'out/secrets/secrets.yaml',
    '.git/HEAD',
    '.nx/cache',
  ];
  expect(made.filter(isInContext)).toEqual([]);
});

test("everything that is copied is in the build's context, or comes out of the build", () => {
  expect(image.copies.length).toBeGreaterThan(8);
  for (const copy of image.copies) {
    const path = relative(root, sourceOf(copy));
    expect([path, existsSync(sourceOf(copy))]).toEqual([path, true]);
    if (copy.from === null) expect([path, isInContext(path)]).toEqual([path, true]);
    else expect(path).toMatch(/^(dist|node_modules)\//);
  }
});

test('both devices have a stage to build on, and the last stage takes either', () => {
  const stages = stagesOf();
  expect(stages.map(({ name }) => name)).toEqual([
    'build',
    'runtime-cpu',
    'runtime-cuda',
    'runtime',
  ]);
  expect(stages.at(-1)?.base).toBe('runtime-${DEVICE}');
  // Each of the others can be given by its digest.
  for (const { base } of stages.slice(0, -1)) expect(base).toMatch(/^\$\{\w+_IMAGE\}$/);
});

test("the image has nobody else's rights, and nothing in it can be written to by its user", () => {
  expect(image.user).toEqual({ uid: 10001, gid: 10001 });
  const user = userOf(image.user);
  if (user)
    expect(spawnSync('/bin/sh', ['-c', `touch ${folder.path}/app/x`], user).status).not.toBe(0);
  expect(statSync(join(folder.path, 'app')).mode & 0o002).toBe(0);
});

test.each([...serviceNames])('%s starts from nothing but the image', (service) => {
  const { status, stdout, stderr } = run(service, '--help');
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout).toContain('EMLOC_NATS_URL');
});

test("its programs get the machine's settings of native libraries, and nothing else of this process", () => {
  const own = { ...process.env };
  try {
    Object.assign(process.env, {
      OPENBLAS_CORETYPE: 'Haswell',
      OMP_NUM_THREADS: '1',
      HOME: '/nowhere',
      EMLOC_STAGE_TOKEN: 'x',
    });
    const environment = imageEnvironment(image, folder.path);
    expect(environment).toMatchObject({
      ...image.environment,
      OPENBLAS_CORETYPE: 'Haswell',
      OMP_NUM_THREADS: '1',
      HOME: expect.stringContaining(folder.path),
    });
    expect(environment).not.toHaveProperty('EMLOC_STAGE_TOKEN');
  } finally {
    process.env = own;
  }
});

test('the command finds its native files there', () => {
  const { status, stdout, stderr } = run('emloc', 'info', '--json');
  expect([status, stderr]).toEqual([0, '']);
  const here = spawnSync(process.execPath, [join(dist, 'emloc/emloc.mjs'), 'info', '--json'], {
    encoding: 'utf8',
    env: imageEnvironment(image, folder.path),
  });
  const device = (text: string): unknown => (JSON.parse(text) as { device?: unknown }).device;
  expect(device(stdout)).toMatchObject({ available: true });
  expect(device(stdout)).toEqual(device(here.stdout));
});

test('a program that the image does not have is refused by name', () => {
  for (const args of [['nats-server'], ['../emloc'], []]) {
    const { status, stderr } = run(...args);
    expect([status, stderr]).toEqual([
      2,
      expect.stringContaining(
        'is none of: calibrator coordinator corrector emloc emulator-builder trainer',
      ),
    ]);
  }
});
