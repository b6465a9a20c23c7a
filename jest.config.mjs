/** One configuration for every project; `npm run jest -- libs/device-cpu` narrows it. */
// Workers and the programs that they start share few cores: threads of linear algebra would wait
// for each other in loops.
process.env.OMP_NUM_THREADS ??= '1';

export default {
  testEnvironment: '<rootDir>/tools/setup/test-environment.mjs',
  runtime: '<rootDir>/tools/setup/test-runtime.mjs',
  testSequencer: '<rootDir>/tools/setup/test-sequencer.mjs',
  // Not in the temporary folder, which every run of `npm test` has for itself: what was
  // transformed, and how long suites took, is there for the next.
  cacheDirectory: '<rootDir>/node_modules/.cache/jest',
  roots: ['<rootDir>/libs', '<rootDir>/services', '<rootDir>/tools'],
  testMatch: ['**/*.spec.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  modulePathIgnorePatterns: ['/dist/', '/.nx/'],
  setupFiles: ['<rootDir>/tools/setup/suppressed-error.mjs'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    '\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          parser: { syntax: 'typescript' },
          target: 'es2022',
          experimental: { keepImportAttributes: true },
        },
        module: { type: 'es6' },
      },
    ],
  },
  // For every test and hook: a guard against waiting for ever, on a busy machine, too.
  testTimeout: 600_000,
  // Modules of a suite that ended stay in memory; a worker that holds much of the machine's is
  // started anew, and loads what suites share again.
  workerIdleMemoryLimit: '12%',
};
