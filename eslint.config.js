import js from '@eslint/js';
import nx from '@nx/eslint-plugin';
import tseslint from 'typescript-eslint';

import { boundaryRules, layers } from './tools/setup/lint-boundaries.mjs';
import { checkedIndex } from './tools/setup/lint-indices.mjs';
import { exportAll, packageOwnership } from './tools/setup/lint-packages.mjs';
import { ensureProjectGraph } from './tools/setup/project-graph.mjs';

// The boundary rule reads nx's cached project graph, and checks nothing when there is none.
await ensureProjectGraph();

const nodeGlobals = Object.fromEntries(
  [
    'AbortController',
    'AbortSignal',
    'Buffer',
    'URL',
    'clearTimeout',
    'console',
    'fetch',
    'performance',
    'process',
    'setImmediate',
    'setTimeout',
    'structuredClone',
  ].map((name) => [name, 'readonly']),
);

const unusedVariables = [
  'error',
  {
    args: 'after-used',
    argsIgnorePattern: '^_',
    varsIgnorePattern: '^_',
    caughtErrors: 'all',
    ignoreRestSiblings: true,
  },
];

/** `any` and untyped values are for the files that declare a native library. */
const nativeFiles = [
  'libs/device-*/src/**/native*.ts',
  'libs/device-*/src/**/native/**/*.ts',
  'libs/checkpoint/src/output/native-*.ts',
  'libs/hub/src/native-*.ts',
];

/** Inner loops over numbers, where a call for each of them would be felt. */
const hotFiles = [
  'libs/checkpoint/src/{finite,floats,within}.ts',
  'libs/checkpoint/src/merge/tensor.ts',
  'libs/dataset/src/masks/token-mask.ts',
  'libs/dataset/src/{normal,random}.ts',
  'libs/dataset/src/rows/split-array.ts',
  'libs/dataset/src/tokenizers/int32-list.ts',
  'libs/dataset/src/tokenizers/models/{bpe,{key,run}-queue,merge-table,pair-filter}.ts',
  'libs/dataset/src/tokenizers/models/{symbols,unigram,unit-trie}.ts',
  'libs/device-conformance/src/{fixture,gradient}.ts',
  'libs/device-conformance/src/reference/*.ts',
  'libs/device-cpu/src/{checks,convert,gains,sequence-sums,sums}.ts',
  'libs/device-cpu/src/{kernels,portable}/*.ts',
  'libs/device-cuda/src/widen.ts',
  'libs/images/src/{decode,orientation,patches,pixels,resize/*}.ts',
  'libs/emulator/src/{apply-correction,orthonormal-rows,random-signs}.ts',
  'libs/emulator/src/{statistics,value-sums}.ts',
  'libs/patterns/src/{match-pattern,pattern-sets}.ts',
  'libs/patterns/src/unicode/code-point-set.ts',
  'libs/tasks/src/diffusion/{draw-rows,latents,sample}.ts',
  'libs/emulator/test/{matrix,reference-device}.ts',
  'tools/gpu-bundle/src/{attention,factorization,product,row,training}-checks.ts',
  'tools/gpu-bundle/src/{lab,random}.ts',
  'libs/weight-pager/src/quantize/quantize.ts',
];

const testFiles = [
  '{libs,services,tools}/**/*.spec.ts',
  '{libs,services,tools}/*/test/**/*.ts',
  'libs/*/src/testing/**/*.ts',
];

export default tseslint.config(
  // AssemblyScript is not TypeScript.
  // assembly/ holds AssemblyScript, which only looks like TypeScript.
  {
    ignores: [
      '**/node_modules/**',
      '**/dist/**',
      '**/generated/**',
      '**/assembly/*.ts',
      '.nx/**',
      'coverage/**',
      'out/**',
      'libs/*/assembly/**',
    ],
  },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    rules: {
      eqeqeq: ['error', 'always'],
      'object-shorthand': 'error',
      'prefer-const': 'error',
      'no-restricted-syntax': ['error', exportAll],
      // Code is prettier's; comments are wrapped by hand.
      'max-len': ['error', { code: 1000, comments: 100, ignoreUrls: true }],
      'no-unused-vars': unusedVariables,
    },
  },
  {
    // What libraries and services have to say goes through observers and logs.
    files: ['{libs,services}/**/*.ts'],
    ignores: testFiles,
    rules: { 'no-console': 'error' },
  },
  {
    files: ['**/*.{js,mjs,cjs}'],
    languageOptions: { globals: nodeGlobals },
  },
  {
    files: ['**/*.cjs'],
    languageOptions: {
      sourceType: 'commonjs',
      globals: { __dirname: 'readonly', module: 'writable', require: 'readonly' },
    },
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommended],
    languageOptions: {
      parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-unused-vars': unusedVariables,
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
    },
  },
  {
    // The costliest part of the costliest rule; the functions that tests pass are awaited by jest.
    files: testFiles,
    rules: {
      '@typescript-eslint/no-misused-promises': [
        'error',
        { checksVoidReturn: { arguments: false } },
      ],
    },
  },
  {
    // A specification that goes on with nothing fails by what it expects.
    files: ['**/*.ts'],
    ignores: ['**/*.spec.ts', 'libs/checked/src/at.ts'],
    plugins: { emloc: { rules: { 'checked-index': checkedIndex } } },
    rules: { 'emloc/checked-index': 'error' },
  },
  {
    files: hotFiles,
    ignores: ['**/*.spec.ts'],
    rules: { 'emloc/checked-index': ['error', { numericCasts: true }] },
  },
  { files: nativeFiles, rules: { '@typescript-eslint/no-explicit-any': 'off' } },
  {
    files: ['{libs,services,tools}/**/*.ts'],
    plugins: { '@nx': nx },
    rules: boundaryRules(layers),
  },
  {
    // Engines are tested on real devices.
    files: testFiles,
    plugins: { '@nx': nx },
    rules: boundaryRules({ ...layers, engine: [...layers.engine, 'layer:device-impl'] }),
  },
  ...packageOwnership(nativeFiles),
);
