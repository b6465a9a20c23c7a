/** What every file of the repository is held against, beside the tests. */

/** A file that was well-formatted needs no second look until its contents change. */
const prettierCache = [
  '--cache',
  '--cache-strategy=content',
  '--cache-location=node_modules/.cache/prettier/.check-cache',
];
/**
 * They need no build; the slowest first.
 * @type {readonly import('./checks.mjs').Check[]}
 */
export const standards = [
  ['lint and types', ['--max-semi-space-size=64', 'tools/setup/lint-and-types.mjs']],
  [
    'format',
    [
      ...['node_modules/prettier/bin/prettier.cjs', '--check', '.', '--log-level=warn'],
      ...prettierCache,
    ],
  ],
  [
    'circles',
    [
      'node_modules/dependency-cruiser/bin/dependency-cruise.mjs',
      '--config',
      'tools/setup/circles.mjs',
      'libs',
      'services',
      'tools',
    ],
  ],
  [
    'unused',
    [
      'node_modules/knip/bin/knip.js',
      '--config',
      'tools/setup/knip.mjs',
      '--treat-config-hints-as-errors',
    ],
  ],
];
