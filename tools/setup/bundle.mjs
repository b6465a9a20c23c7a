import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import process from 'node:process';

import { bundledAssets } from './bundled-assets.mjs';
import { listWorkspaces, workspaceRoot } from './workspace.mjs';

/**
 * Something that is started: every `tools/NAME/src/main.ts` and `services/NAME/src/main.ts` is one,
 * bundled into `dist/NAME/NAME.mjs`. Importing that file runs it.
 * @typedef {{ name: string, entry: string, folder: string, outFile: string }} Program paths are
 * absolute
 */

/**
 * Not bundled, found in node_modules when running: they load native files from beside themselves.
 * A pattern may end in a star, as in esbuild's `external`.
 */
export const externalPackages = ['koffi', 'sharp', '@tensorflow/*'];

/**
 * All programs: workspaces with a main.ts, or with a bundle in a copy without sources.
 * @param {string} [root]
 * @returns {Program[]}
 */
export function listPrograms(root = workspaceRoot) {
  return listWorkspaces(root)
    .map((folder) => toProgram(root, folder))
    .filter(({ entry, outFile }) => existsSync(entry) || existsSync(outFile));
}

/**
 * @param {string} root
 * @param {string} workspace relative to `root`
 * @returns {Program}
 */
function toProgram(root, workspace) {
  const name = workspace === 'tools/cli' ? 'emloc' : basename(workspace);
  const folder = join(root, 'dist', name);
  return {
    name,
    entry: join(root, workspace, 'src', 'main.ts'),
    folder,
    outFile: join(folder, `${name}.mjs`),
  };
}

/**
 * Whether the bundle is missing or older than one of the files that went into it.
 * @param {Program} program
 * @param {string} [root]
 */
export function isStale({ folder, outFile }, root = workspaceRoot) {
  const record = join(folder, 'inputs.json');
  if (!existsSync(outFile) || !existsSync(record)) return true;
  const builtMs = statSync(record).mtimeMs;
  /** @type {string[]} */
  const inputs = JSON.parse(readFileSync(record, 'utf8'));
  return inputs.some(
    (input) =>
      (statSync(join(root, input), { throwIfNoEntry: false })?.mtimeMs ?? Infinity) > builtMs,
  );
}

/**
 * Bundles a program, its workers and the files that it reads. What a program imports when it is
 * asked for is in files of its own beside it, named by their contents.
 * @param {Program} program
 * @param {string} [root]
 * @throws esbuild's BuildFailure, already printed
 */
export async function bundle({ name, entry, folder, outFile }, root = workspaceRoot) {
  const { build } = await import('esbuild');
  const assets = bundledAssets(root);
  /** @type {Set<string>} */
  const inputs = new Set();
  /** @type {Set<string>} */
  const outputs = new Set();
  /** @param {string} source @param {string} target */
  const bundleOne = async (source, target) => {
    const result = await build({
      absWorkingDir: root,
      entryPoints: [{ in: source, out: basename(target, '.mjs') }],
      outdir: dirname(target),
      outExtension: { '.js': '.mjs' },
      // Beside the program, since what they refer to is told from its folder.
      chunkNames: '[name]-[hash]',
      splitting: true,
      bundle: true,
      minifyWhitespace: true,
      platform: 'node',
      target: 'node20',
      format: 'esm',
      sourcemap: 'linked',
      sourcesContent: false,
      external: externalPackages,
      plugins: [assets.plugin(relative(folder, dirname(target)))],
      // CommonJS packages inside an ES module call require for Node's own modules.
      banner: {
        js: "import { createRequire as $createRequire } from 'node:module'; const require = $createRequire(import.meta.url);",
      },
      metafile: true,
      write: false,
      logLevel: 'warning',
    });
    for (const input of Object.keys(result.metafile.inputs)) inputs.add(input);
    // What is loaded first, the program last: whoever reads it while it is replaced sees the old
    // or the new one, whole.
    for (const { path, contents } of inOrder(result.outputFiles, target)) {
      replaceFile(path, contents);
      outputs.add(relative(folder, path));
    }
  };
  await bundleOne(entry, outFile);
  for (const worker of assets.workers())
    await bundleOne(join(root, worker.source), join(folder, worker.target));
  for (const asset of assets.copies())
    copyInto(join(root, asset.source), join(folder, asset.target));
  for (const { source } of assets.copies())
    for (const file of filesUnder(join(root, source))) inputs.add(relative(root, file));
  for (const file of ownFiles(root)) inputs.add(file);
  dropOldOutputs(folder, outputs);
  replaceFile(join(folder, 'inputs.json'), `${JSON.stringify([...inputs].sort(), null, 1)}\n`);
  return { name, inputCount: inputs.size };
}

/**
 * Bundles a program when its bundle is stale. A copy without sources keeps the bundle that it has.
 * @param {Program} program
 * @returns {Promise<'no source' | 'up to date' | 'built'>}
 */
export async function ensureBundled(program) {
  if (!existsSync(program.entry)) return 'no source';
  if (!isStale(program)) return 'up to date';
  await bundle(program);
  return 'built';
}

/**
 * Chunks, then source map and program.
 * @param {readonly import('esbuild').OutputFile[]} files
 * @param {string} target
 */
function inOrder(files, target) {
  const last = [`${target}.map`, target];
  return [...files].sort((a, b) => last.indexOf(a.path) - last.indexOf(b.path));
}

/**
 * Removes what neither this build nor the one before has made; programs of that may still run.
 * @param {string} folder
 * @param {ReadonlySet<string>} outputs of this build, relative to the folder
 */
function dropOldOutputs(folder, outputs) {
  const record = join(folder, 'outputs.json');
  /** @type {string[]} */
  const before = existsSync(record) ? JSON.parse(readFileSync(record, 'utf8')) : [];
  const kept = new Set([...outputs, ...before]);
  for (const subfolder of ['.', 'workers'].filter((name) => existsSync(join(folder, name))))
    for (const name of readdirSync(join(folder, subfolder)))
      if (/\.mjs(\.map)?$/.test(name) && !kept.has(join(subfolder, name)))
        rmSync(join(folder, subfolder, name));
  replaceFile(record, `${JSON.stringify([...outputs].sort(), null, 1)}\n`);
}

/** What decides how bundles are made. @param {string} root */
function ownFiles(root) {
  return ['tools/setup/bundle.mjs', 'tools/setup/bundled-assets.mjs', 'package-lock.json'].filter(
    (file) => existsSync(join(root, file)),
  );
}

/**
 * @param {string} path
 * @returns {string[]} files, and the folders that hold them: their time changes with their list
 */
function filesUnder(path) {
  if (!statSync(path).isDirectory()) return [path];
  return [path, ...readdirSync(path).flatMap((name) => filesUnder(join(path, name)))];
}

/** @param {string} source @param {string} target */
function copyInto(source, target) {
  for (const file of filesUnder(source)) {
    if (!statSync(file).isDirectory())
      replaceFile(join(target, relative(source, file)), readFileSync(file));
  }
}

/** @param {string} path @param {string | Uint8Array} contents */
function replaceFile(path, contents) {
  mkdirSync(dirname(path), { recursive: true });
  const beside = `${path}.${process.pid}`;
  writeFileSync(beside, contents);
  renameSync(beside, path);
}
