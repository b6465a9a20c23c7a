import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { kernelDefinitions } from '@emloc/device';

import { conformanceCases } from './index.js';

/** Names of the files of a folder, without tests, its index and their ending. */
function namesIn(folder: string): string[] {
  return readdirSync(fileURLToPath(new URL(`../../${folder}/`, import.meta.url)))
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts') && file !== 'index.ts')
    .map((file) => file.slice(0, -3));
}

/** A file NAME.ts for each kernel with its backward: the interface's own folder. */
const names = namesIn('device/src/kernels');

const noLinearAttention = Object.fromEntries(
  ['causal-convolution', 'delta-gates', 'gated-delta-rule', 'l2-norm'].map((name) => [
    name,
    'has no kernels of linear attention: a launch is refused',
  ]),
);

/** Files that a folder does without, and why. */
const folders: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'device-cpu/src/kernels': {},
  'device-cuda/src/kernels': {},
  'device-tfjs/src/kernels': noLinearAttention,
  'device-conformance/src/cases': {},
  'device-conformance/src/reference': {
    eigh: 'checked by what eigenvectors are',
    cholesky: 'checked by its product',
    'solve-triangular': 'checked by its product',
  },
};

function fileOf(kernel: string): string {
  const name = kernel.replace(/Backward$/, '').replace(/[A-Z]/g, (letter) => `-${letter}`);
  return name.toLowerCase();
}

test('the interface has a file for every kernel and its backward', () => {
  expect(names.length).toBeGreaterThan(15);
  expect([...new Set(Object.keys(kernelDefinitions).map(fileOf))].sort()).toEqual(names.sort());
});

test.each(Object.entries(folders))('%s has the same files', (folder, gaps) => {
  const found = namesIn(folder);
  expect(names.filter((name) => !found.includes(name)).sort()).toEqual(Object.keys(gaps).sort());
  // A kernel of several parts has them in files NAME-PART.ts.
  const others = found.filter(
    (file) => !names.some((name) => file === name || file.startsWith(`${name}-`)),
  );
  expect(others).toEqual([]);
});

test('every kernel has conformance cases in a group of its name', () => {
  const groups = new Set(conformanceCases().map(({ group }) => group));
  expect(Object.keys(kernelDefinitions).filter((kernel) => !groups.has(kernel))).toEqual([]);
});
