const specs = '{src,test}/**/*.spec.ts';
const files = '{src,test}/**/*.{ts,mjs}';

/**
 * What knip starts from: programs, tests, and the faces of packages. Faces are searched like any
 * other file, so that they name only what other packages use.
 * @type {import('knip').KnipConfig}
 */
export default {
  workspaces: {
    '.': { entry: 'examples/**/*.{ts,mjs}', project: ['*.{js,mjs}', 'examples/**/*.{ts,mjs}'] },
    'libs/*': { entry: specs, project: files, includeEntryExports: true },
    // Its face is for programs outside this repository, too.
    'libs/sdk': { entry: specs, project: files },
    'services/*': { entry: ['src/main.ts', specs], project: files },
    'tools/*': { entry: ['src/main.ts', specs], project: files },
    'tools/check': { entry: 'src/main.ts', project: files },
    'tools/dashboards': { entry: specs, project: files },
    'tools/goldens': { entry: ['src/main.ts', '*.mjs', specs], project: [files, '*.mjs'] },
    'tools/gpu-bundle': { entry: ['src/main.ts', '*.mjs', specs], project: [files, '*.mjs'] },
    'tools/site': {
      entry: ['src/{main,sdk}.mjs', specs],
      project: [files, '.vitepress/**/*.mjs'],
    },
    'tools/setup': { entry: ['*.mjs', 'test/*.spec.ts'], project: '**/*.{ts,mjs}' },
  },
  ignore: ['**/generated/**'],
  // Used by path or by name alone: the generator of buf.gen.yaml, what device-tfjs looks for, the
  // schemas that manifests are checked with, kustomize's executable, what typedoc writes Markdown
  // with.
  ignoreDependencies: [
    '@bufbuild/protoc-gen-es',
    '@kubernetes-models/cert-manager',
    '@tensorflow/tfjs-backend-cpu',
    'kustomize',
    'typedoc-plugin-markdown',
  ],
  ignoreBinaries: ['kubectl', 'mkfifo', 'mount', 'nvcc', 'openssl', 'umount'],
};
