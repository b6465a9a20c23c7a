import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/**
 * Runs the repository's own lint configuration, in a process of its own, over code that is not
 * there.
 */
function lint(
  cases: Readonly<Record<string, readonly [file: string, code: string]>>,
): Record<string, string[]> {
  const script = fileURLToPath(new URL('./lint-texts.mjs', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], {
    input: JSON.stringify(cases),
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Record<string, string[]>;
}

const boundary = '@nx/enforce-module-boundaries';

describe('the lint configuration', () => {
  const found = lint({
    'engine imports engine': [
      'libs/finetune/src/x.ts',
      "export { Pager } from '@emloc/weight-pager';",
    ],
    'engine imports a device implementation': [
      'libs/finetune/src/x.ts',
      "export { x } from '@emloc/device-cpu';",
    ],
    'engine imports the devices by name': [
      'libs/pipeline/src/x.ts',
      "export { x } from '@emloc/device-registry';",
    ],
    'devices by name import a device implementation': [
      'libs/device-registry/src/x.ts',
      "export { x } from '@emloc/device-cpu';",
    ],
    'devices by name import the kit': [
      'libs/device-registry/src/x.ts',
      "export { x } from '@emloc/rpc';",
    ],
    'stage imports the devices by name': [
      'libs/stage/src/x.ts',
      "export { x } from '@emloc/device-registry';",
    ],
    'engine imports the kit': ['libs/finetune/src/x.ts', "export { x } from '@emloc/rpc';"],
    'planner imports the null device': [
      'libs/pipeline/src/x.ts',
      "export { x } from '@emloc/device-null';",
    ],
    'device imports an engine': ['libs/device/src/x.ts', "export { x } from '@emloc/autograd';"],
    'another project by path': [
      'libs/finetune/src/x.ts',
      "export { x } from '../../device/src/index.js';",
    ],
    'an undeclared package': [
      'libs/device/src/x.ts',
      "import semver from 'semver';\nsemver.valid('1');",
    ],
    'engine imports NATS': ['libs/pipeline/src/x.ts', "export { x } from '@nats-io/nats-core';"],
    'the frame of services imports NATS': [
      'libs/service/src/x.ts',
      "export { x } from '@nats-io/kv';",
    ],
    'nats imports NATS': ['libs/nats/src/x.ts', "export { Kvm } from '@nats-io/kv';"],
    'engine loads gRPC': [
      'libs/pipeline/src/x.ts',
      "export const grpc = await import('@grpc/grpc-js');",
    ],
    'rpc imports prom-client': ['libs/rpc/src/x.ts', "export { x } from 'prom-client';"],
    'FFI outside the native files': [
      'libs/device-cpu/src/gemm.ts',
      "export { default } from 'koffi';",
    ],
    'FFI in a native file': ['libs/device-cpu/src/native.ts', "export { default } from 'koffi';"],
    'sharp outside the images': ['libs/dataset/src/x.ts', "export { default } from 'sharp';"],
    'everything of a module': ['libs/finetune/src/x.ts', "export * from './y.js';"],
    'everything of a module under a name': [
      'libs/finetune/src/x.ts',
      "export * as y from './y.js';",
    ],
    'everything of a script': ['tools/setup/x.mjs', "export * from './y.mjs';"],
    'everything that is generated': [
      'libs/contracts/src/x.ts',
      "export * from './generated/y.js';",
    ],
    any: ['libs/finetune/src/x.ts', 'export const x: any = 1;'],
    'a test beside inner loops': ['libs/device-cpu/src/kernels/x.spec.ts', 'const x: any = 1;'],
    'any in a native file': ['libs/device-cpu/src/native.ts', 'export const x: any = 1;'],
  });

  it.each([
    ['engine imports engine', []],
    ['engine imports a device implementation', [boundary]],
    ['engine imports the kit', [boundary]],
    ['engine imports the devices by name', [boundary]],
    ['devices by name import a device implementation', []],
    ['devices by name import the kit', [boundary]],
    ['stage imports the devices by name', []],
    ['planner imports the null device', []],
    ['nats imports NATS', []],
    ['device imports an engine', [boundary]],
    ['another project by path', [boundary]],
    ['an undeclared package', [boundary]],
    ['FFI outside the native files', ['no-restricted-imports']],
    ['FFI in a native file', []],
    ['everything of a module', ['no-restricted-syntax']],
    ['everything of a module under a name', ['no-restricted-syntax']],
    ['everything of a script', ['no-restricted-syntax']],
    ['everything that is generated', []],
    ['any', ['@typescript-eslint/no-explicit-any']],
    ['any in a native file', []],
    [
      'a test beside inner loops',
      ['@typescript-eslint/no-explicit-any', '@typescript-eslint/no-unused-vars'],
    ],
  ])('%s: %j', (name, rules) => {
    expect([...new Set(found[name])].sort()).toEqual(rules);
  });

  it.each([
    ['engine imports NATS', 'no-restricted-imports'],
    ['the frame of services imports NATS', 'no-restricted-imports'],
    ['engine loads gRPC', 'no-restricted-syntax'],
    ['rpc imports prom-client', 'no-restricted-imports'],
    ['sharp outside the images', 'no-restricted-imports'],
  ])('%s: %s', (name, rule) => {
    expect(found[name]).toContain(rule);
  });
});
