import { existsSync, readFileSync } from 'node:fs';
import { dirname, posix, relative, resolve, sep } from 'node:path';

/**
 * A file or folder that a bundle needs beside it; `source` is relative to the root, `target` to the
 * bundle's folder.
 */
/** @typedef {{ source: string, target: string }} Asset */

const referencePattern =
  /new URL\(\s*(['"])(\.{1,2}\/[^'"\n]*)\1\s*,\s*import\.meta\.url\s*,?\s*\)/g;

/**
 * Makes `new URL('./file', import.meta.url)` hold in a bundle, where `import.meta.url` is the
 * bundle's. Files and folders (kernels, WebAssembly) are copied to `assets/`, TypeScript files
 * (workers) become bundles of their own in `workers/`.
 * @param {string} root
 */
export function bundledAssets(root) {
  /** @type {Map<string, Asset>} */
  const copies = new Map();
  /** @type {Map<string, Asset>} */
  const workers = new Map();

  /**
   * @param {string} file the file that refers
   * @param {string} reference
   * @returns {Asset | null} null when nothing is there, as for an output's place
   */
  const register = (file, reference) => {
    const path = resolve(dirname(file), reference);
    const source = [path, path.replace(/\.js$/, '.ts')].find((candidate) => existsSync(candidate));
    if (!source) return null;
    const name = relative(root, source).split(sep).join('/');
    if (name.startsWith('..') || name === '')
      throw new Error(
        `${relative(root, file)} refers to ${reference}, which is outside the repository`,
      );
    const isWorker = source.endsWith('.ts');
    const asset = {
      source: name,
      target: isWorker
        ? `workers/${name.replaceAll('/', '-').replace(/\.ts$/, '.mjs')}`
        : `assets/${name}`,
    };
    (isWorker ? workers : copies).set(name, asset);
    return asset;
  };

  return {
    copies: () => [...copies.values()],
    /** Grows while workers are bundled, when a worker starts workers. */
    workers: () => workers.values(),
    /**
     * @param {string} fromFolder folder of the file being written, relative to the bundle's folder
     * @returns {import('esbuild').Plugin}
     */
    plugin: (fromFolder) => ({
      name: 'bundled-assets',
      setup(build) {
        build.onLoad({ filter: /\.ts$/ }, ({ path }) => {
          if (path.includes(`${sep}node_modules${sep}`)) return undefined;
          const contents = readFileSync(path, 'utf8').replace(
            referencePattern,
            (whole, _quote, /** @type {string} */ reference) => {
              const asset = register(path, reference);
              if (!asset) return whole;
              const target = posix.relative(fromFolder.split(sep).join('/'), asset.target);
              const slash = reference.endsWith('/') ? '/' : '';
              return `new URL('${target.startsWith('.') ? target : `./${target}`}${slash}', import.meta.url)`;
            },
          );
          return { contents, loader: 'ts', resolveDir: dirname(path) };
        });
      },
    }),
  };
}
