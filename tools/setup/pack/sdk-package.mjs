import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

import { readManifest, workspaceRoot } from '../workspace.mjs';

const libs = join(workspaceRoot, 'libs');

/**
 * Writes the folder of the package `@emloc/sdk`: one JavaScript module that holds our libraries
 * below it, and the types of all of them.
 * @param {string} folder is made
 */
export async function writeSdkPackage(folder) {
  const { build } = await import('esbuild');
  const { metafile } = await build({
    absWorkingDir: workspaceRoot,
    entryPoints: [join(libs, 'sdk', 'src', 'index.ts')],
    outfile: join(folder, 'dist', 'index.js'),
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    plugins: [othersExternal],
    metafile: true,
    logLevel: 'warning',
  });
  const libraries = librariesIn(Object.keys(metafile.inputs));
  await writeTypes(join(folder, 'types'), libraries);
  copyFileSync(join(workspaceRoot, 'LICENSE'), join(folder, 'LICENSE'));
  copyFileSync(join(libs, 'sdk', 'README.md'), join(folder, 'README.md'));
  const manifest = { ...described(), dependencies: dependenciesOf(libraries) };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** Packages of others are dependencies, ours are bundled. @type {import('esbuild').Plugin} */
const othersExternal = {
  name: 'others-external',
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
      kind === 'entry-point' || path.startsWith('@emloc/') ? undefined : { path, external: true },
    );
  },
};

/**
 * Names of our libraries that files are of, `sdk` among them.
 * @param {readonly string[]} files relative to the root
 */
function librariesIn(files) {
  const names = files.flatMap((file) => /^libs\/([^/]+)\//.exec(file)?.[1] ?? []);
  return [...new Set(names)].sort();
}

function described() {
  const { version, description } = readManifest('libs/sdk');
  const { license, engines } = readManifest('.');
  return {
    name: '@emloc/sdk',
    version,
    description,
    license,
    type: 'module',
    engines,
    exports: { '.': { types: './types/sdk/src/index.d.ts', default: './dist/index.js' } },
  };
}

/**
 * @param {readonly string[]} libraries
 * @returns {Record<string, string>}
 */
function dependenciesOf(libraries) {
  const all = libraries
    .flatMap((name) => Object.entries(readManifest(`libs/${name}`).dependencies ?? {}))
    .filter(([name]) => !name.startsWith('@emloc/'));
  return Object.fromEntries(all.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * Declarations of the libraries, which refer to each other by their files.
 * @param {string} folder
 * @param {readonly string[]} libraries
 */
async function writeTypes(folder, libraries) {
  const { default: ts } = await import('typescript');
  const program = ts.createProgram([join(libs, 'sdk', 'src', 'index.ts')], {
    target: ts.ScriptTarget.ES2023,
    lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    strict: true,
    skipLibCheck: true,
    declaration: true,
    emitDeclarationOnly: true,
    noEmitOnError: true,
    // `npm run typecheck` has looked at the bodies of functions.
    noCheck: true,
    types: ['node'],
    rootDir: libs,
    outDir: folder,
    // Else they are packages of node_modules, of which nothing is emitted.
    baseUrl: workspaceRoot,
    paths: Object.fromEntries(
      libraries.map((name) => [`@emloc/${name}`, [`libs/${name}/src/index.ts`]]),
    ),
  });
  const { emitSkipped, diagnostics } = program.emit();
  if (emitSkipped) {
    const host = {
      getCanonicalFileName: (/** @type {string} */ name) => name,
      getCurrentDirectory: () => workspaceRoot,
      getNewLine: () => '\n',
    };
    throw new Error(ts.formatDiagnostics(diagnostics, host));
  }
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  for (const file of names.filter((name) => name.endsWith('.d.ts'))) {
    const path = join(folder, file);
    writeFileSync(path, withOwnPaths(readFileSync(path, 'utf8'), dirname(path), folder));
  }
}

/**
 * @param {string} text
 * @param {string} from
 * @param {string} types the folder of all declarations
 */
function withOwnPaths(text, from, types) {
  return text.replace(/(['"])@emloc\/([a-z-]+)\1/g, (_whole, quote, /** @type {string} */ name) => {
    const path = relative(from, join(types, name, 'src', 'index.js'));
    return `${quote}${path.startsWith('.') ? path : `./${path}`}${quote}`;
  });
}
