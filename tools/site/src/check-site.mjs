import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** What a site is to answer for in the page that is shown where another is missing. */
const unknownPage = '404.html';

/**
 * Looks every link and source of a built site up in its files.
 * @param {string} folder
 * @returns {{ pages: number, links: number, faults: string[] }} faults name page and link
 */
export function checkSite(folder) {
  const pages = new Map(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.html') && name !== unknownPage)
      .map((name) => [name, readPage(join(folder, name))]),
  );
  /** @type {string[]} */
  const faults = [];
  let links = 0;
  for (const [name, { references }] of pages)
    for (const { attribute, value } of references) {
      links += 1;
      const fault = faultOf({ attribute, value }, { folder, name, pages });
      if (fault !== null) faults.push(`${name}: ${value} ${fault}`);
    }
  return { pages: pages.size, links, faults };
}

/** @typedef {{ ids: ReadonlySet<string>, references: readonly Reference[] }} Page */
/** @typedef {{ attribute: string, value: string }} Reference */

/** @param {string} path @returns {Page} */
function readPage(path) {
  const text = readFileSync(path, 'utf8');
  const found = [...text.matchAll(/<(\w+)[^>]*? (href|src)="([^"]*)"/g)];
  return {
    ids: new Set([...text.matchAll(/ id="([^"]*)"/g)].map(([, id = '']) => unescaped(id))),
    references: found.map(([, tag = '', name = '', value = '']) => ({
      // What a link leads to may be elsewhere; what a page is made of may not.
      attribute: tag === 'a' ? 'link' : name,
      value: unescaped(value),
    })),
  };
}

/** @param {string} text */
function unescaped(text) {
  return text.replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&amp;', '&');
}

/**
 * @param {Reference} reference
 * @param {{ folder: string, name: string, pages: ReadonlyMap<string, Page> }} site
 * @returns {string | null}
 */
function faultOf({ attribute, value }, { folder, name, pages }) {
  if (/^(data|mailto):/.test(value)) return null;
  if (/^([a-z]+:)?\/\//i.test(value))
    return attribute === 'link' ? null : 'is fetched from elsewhere';
  const [, given = '', hash = ''] = /^([^#?]*)(?:\?[^#]*)?#?(.*)$/s.exec(value) ?? [];
  const path = fileOf(decodeURI(given), { folder, name });
  if (!existsSync(join(folder, path))) return 'leads to nothing';
  if (hash === '') return null;
  return pages.get(path)?.ids.has(decodeURIComponent(hash)) ? null : 'has no such place';
}

/** @param {string} given @param {{ folder: string, name: string }} from */
function fileOf(given, { folder, name }) {
  if (given === '') return name;
  const path = given.startsWith('/') ? given.slice(1) : join(dirname(name), given);
  const file = relative(folder, join(folder, path));
  const isFolder = existsSync(join(folder, file)) && statSync(join(folder, file)).isDirectory();
  return isFolder ? join(file, 'index.html') : file;
}
