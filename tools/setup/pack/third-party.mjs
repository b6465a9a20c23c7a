import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What others wrote and a package of ours holds or loads.
 * @typedef {{ name: string, version: string, licence: string, folder: string }} ThirdParty
 */

/**
 * The packages whose files went into bundles, sorted by name.
 * @param {readonly string[]} inputs files, relative to the root
 * @param {string} root
 * @returns {ThirdParty[]}
 */
export function bundledPackages(inputs, root) {
  const folders = inputs.flatMap(
    (input) => /^.*node_modules\/(@[^/]+\/)?[^/]+(?=\/)/.exec(input)?.[0] ?? [],
  );
  return [...new Set(folders)]
    .map((folder) => packageIn(join(root, folder)))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * @param {string} folder
 * @returns {ThirdParty}
 * @throws Error where it does not name its licence
 */
function packageIn(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  if (typeof license !== 'string') throw new Error(`${folder}: its package.json names no licence`);
  return { name, version, licence: license.replace(/^\((.*)\)$/, '$1'), folder };
}

/**
 * Packages that are installed beside ours, with all that npm may install for them: one of each kind
 * of native files, which have the same licence on every platform.
 * @param {readonly string[]} names
 * @param {string} root
 * @returns {ThirdParty[]}
 */
export function installedPackages(names, root) {
  const modules = join(root, 'node_modules');
  /** @type {Map<string, ThirdParty>} */
  const found = new Map();
  /** @param {string} name */
  const add = (name) => {
    const folder = join(modules, name);
    if (found.has(name) || !existsSync(folder)) return;
    found.set(name, packageIn(folder));
    const { dependencies, optionalDependencies } = JSON.parse(
      readFileSync(join(folder, 'package.json'), 'utf8'),
    );
    for (const each of Object.keys({ ...dependencies, ...optionalDependencies })) add(each);
  };
  for (const name of names) add(name);
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What npm installs for this platform, and in its place for others: `@img/sharp-linux-x64`. */
const platform = /-(linux|linuxmusl|darwin|win32|freebsd|openbsd)(-\w+)+$/;

/**
 * The text of NOTICE.
 * @param {{ bundled: readonly ThirdParty[], installed: readonly ThirdParty[] }} packages
 */
export function noticeText({ bundled, installed }) {
  const lines = (/** @type {readonly ThirdParty[]} */ list) => [
    ...new Set(
      list.map(({ name, licence }) => `  ${name.replace(platform, '-PLATFORM')}: ${licence}`),
    ),
  ];
  return [
    'emloc is under the Apache License 2.0 (LICENSE).',
    '',
    'Its program holds code of these packages, under their own licences. Their texts are in',
    'THIRD-PARTY-LICENSES.txt of the package that npm installs.',
    '',
    ...lines(bundled),
    '',
    'These are installed beside it, unchanged, each with its own licence. libvips is a shared library',
    'under LGPL-3.0-or-later, which sharp loads; it can be replaced by another build of it.',
    '',
    ...lines(installed),
    '',
  ].join('\n');
}

/** @param {readonly ThirdParty[]} bundled */
export function licenceTexts(bundled) {
  return bundled
    .map(({ name, version, licence, folder }) => {
      const texts = readdirSync(folder)
        .filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))
        .sort()
        .map((file) => readFileSync(join(folder, file), 'utf8').trim());
      return [`${name} ${version}`, `Licence: ${licence}`, ...texts].join('\n\n');
    })
    .join(`\n\n${'-'.repeat(80)}\n\n`)
    .concat('\n');
}
