/**
 * Packages that only one place may know, so that what they stand for can be replaced there.
 * @typedef {{ packages: string[], files: string[], reason: string }} Ownership `packages` are names
 * or `@scope/*`
 */

/**
 * @param {readonly string[]} nativeFiles globs of the files that declare native libraries
 * @returns {Ownership[]}
 */
function ownerships(nativeFiles) {
  return [
    {
      packages: ['@grpc/*'],
      files: ['libs/rpc/**/*.ts', 'tools/bench/src/bus-grpc.ts'],
      reason: 'gRPC is behind @emloc/rpc',
    },
    {
      packages: ['@nats-io/*'],
      files: ['libs/nats/**/*.ts'],
      reason: 'NATS is behind @emloc/nats',
    },
    {
      packages: ['prom-client'],
      files: ['libs/telemetry/**/*.ts'],
      reason: 'metrics are behind @emloc/telemetry',
    },
    {
      packages: ['@huggingface/hub', 'undici'],
      files: ['libs/hub/**/*.ts'],
      reason: 'models by their hub names are behind @emloc/hub',
    },
    {
      packages: ['@huggingface/gguf'],
      files: ['libs/checkpoint/**/*.spec.ts'],
      reason: 'GGUF files are read in tests of @emloc/checkpoint',
    },
    {
      packages: ['@tensorflow/*'],
      files: ['libs/device-tfjs/**/*.ts'],
      reason: 'TensorFlow.js is behind @emloc/device-tfjs',
    },
    {
      packages: ['csv-parse', 'hyparquet', 'hyparquet/*', 'hyparquet-compressors'],
      files: ['libs/dataset/**/*.ts'],
      reason: 'files of rows are read behind @emloc/dataset',
    },
    {
      packages: ['modern-tar'],
      files: ['libs/untrusted/**/*.ts'],
      reason: 'archives are packed and unpacked behind @emloc/untrusted',
    },
    {
      packages: ['sharp'],
      files: ['libs/images/**/*.ts'],
      reason: 'images are decoded behind @emloc/images',
    },
    {
      packages: ['koffi'],
      files: [...nativeFiles],
      reason:
        'FFI is in the native files of the device implementations, one for output folders and one for the lock of the hub cache',
    },
  ];
}

/**
 * One block that bans all owned packages, and one for each owner that bans the others'.
 * @param {readonly string[]} nativeFiles
 */
export function packageOwnership(nativeFiles) {
  const all = ownerships(nativeFiles);
  return [
    { files: ['{libs,services,tools}/**/*.ts'], rules: restrictions(all) },
    ...all.map((owner) => ({
      files: owner.files,
      rules: restrictions(all.filter((other) => other !== owner)),
    })),
  ];
}

/** `export *` of anything but generated code: a face names what others use. */
export const exportAll = {
  selector: 'ExportAllDeclaration:not([source.value=/\\u002Fgenerated\\u002F/])',
  message: 'Name what is exported.',
};

/** @param {readonly Ownership[]} banned */
function restrictions(banned) {
  return {
    'no-restricted-imports': [
      'error',
      {
        patterns: banned.map(({ packages, reason }) => ({
          regex: importPattern(packages),
          message: `${reason}.`,
        })),
      },
    ],
    'no-restricted-syntax': [
      'error',
      exportAll,
      ...banned.flatMap(({ packages, reason }) =>
        dynamicImports(importPattern(packages)).map((selector) => ({
          selector,
          message: `${reason}.`,
        })),
      ),
    ],
  };
}

/** @param {readonly string[]} packages */
function importPattern(packages) {
  return `^(${packages.map((name) => (name.endsWith('/*') ? name.slice(0, -1) : `${name}($|/)`)).join('|')})`;
}

/** @param {string} pattern */
function dynamicImports(pattern) {
  const escaped = pattern.replaceAll('/', '\\u002F');
  return [
    `ImportExpression[source.value=/${escaped}/]`,
    `CallExpression[callee.name='require'][arguments.0.value=/${escaped}/]`,
  ];
}
