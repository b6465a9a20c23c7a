import { dirname } from 'node:path';

import { jestProgram } from './run-jest.mjs';

/**
 * Gives every workspace the targets `lint`, `typecheck` and `test`, so that no project has to
 * repeat them.
 */
export const name = 'emloc-targets';

/** @type {import('@nx/devkit').CreateNodesV2} */
export const createNodesV2 = [
  '{libs,services,tools}/*/package.json',
  (packageFiles) =>
    packageFiles.map((packageFile) => {
      const root = dirname(packageFile);
      return [packageFile, { projects: { [root]: { root, targets: targetsOf(root) } } }];
    }),
];

/**
 * Caching and inputs are in nx.json's `targetDefaults`.
 * @param {string} root
 */
function targetsOf(root) {
  return {
    lint: { command: `eslint ${root} --max-warnings=0 --no-error-on-unmatched-pattern` },
    typecheck: { command: `node tools/setup/typecheck.mjs ${root}` },
    test: {
      command: `node ${jestProgram.join(' ')} --roots ${root} --passWithNoTests`,
    },
  };
}
