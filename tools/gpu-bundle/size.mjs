import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** What a checkout and the folder take together, which travel through one narrow channel. */
export const maximumTogetherBytes = 64_000_000;

/** What the folder may take alone; the rest is the checkout's. */
export const maximumFolderBytes = 17_000_000;

/** What the decoder of images adds to the folder where it is packed. */
export const maximumDecoderBytes = 7_000_000;

/**
 * Bytes of the files of a checkout: those that git tracks, or without git all that .gitignore does
 * not name.
 * @param {string} root
 * @returns {number}
 */
export function checkoutBytes(root) {
  const files = trackedFiles(root) ?? filesUnder(root, '', ignoredFolders(root));
  return files.reduce(
    (sum, file) => sum + (statSync(join(root, file), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}

/** @param {string} path a file or a folder @returns {number} */
export function bytesIn(path) {
  const status = statSync(path);
  return status.isDirectory()
    ? readdirSync(path).reduce((sum, name) => sum + bytesIn(join(path, name)), 0)
    : status.size;
}

/** @param {string} root @returns {string[] | null} null where the root is no git work tree */
function trackedFiles(root) {
  const { status, stdout } = spawnSync('git', ['-C', root, 'ls-files', '-z'], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  const files = (stdout ?? '').split('\0').filter(Boolean);
  return status === 0 && files.length > 0 ? files : null;
}

/** Names of folders, without slashes. @param {string} root @returns {Set<string>} */
function ignoredFolders(root) {
  const lines = readFileSync(join(root, '.gitignore'), 'utf8').split('\n');
  const folders = lines
    .filter((line) => line.endsWith('/'))
    .map((line) => line.replaceAll('/', ''));
  return new Set(['.git', ...folders]);
}

/**
 * @param {string} root @param {string} folder relative to it @param {Set<string>} ignored
 * @returns {string[]} files, relative to the root
 */
function filesUnder(root, folder, ignored) {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter(({ name }) => !ignored.has(name))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? filesUnder(root, path, ignored) : [path];
    });
}
