import { existsSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** Folders whose pages are no pages of the site. */
const outside = /(^|\/)(node_modules|dist|out|coverage)\/|^\.[^/]*\//;

/** @param {string} path of a file, relative to the root */
export function isPage(path) {
  return path.endsWith('.md') && !outside.test(path);
}

/**
 * What a link of a page leads to, relative to the root: a page (a folder stands for its README), or
 * another file or folder of the repository. null: it is no link to a file.
 * @param {string} href
 * @param {string} page relative to the root
 * @param {string} root
 * @returns {{ path: string, hash: string } | null}
 * @throws Error where there is no such file
 */
export function targetOf(href, page, root) {
  if (/^([a-z][a-z+.-]*:|#|\/\/)/i.test(href)) return null;
  const [, given = '', hash = ''] = /^([^#]*)(#.*)?$/s.exec(href) ?? [];
  const path = relative(root, join(root, dirname(page), decodeURI(given)));
  if (path === 'docs') return { path: 'docs/index.md', hash };
  if (path.startsWith('..') || !existsSync(join(root, path)))
    throw new Error(`${page}: the link ${href} leads to nothing`);
  const readme = join(path, 'README.md');
  const isFolder = statSync(join(root, path)).isDirectory() && existsSync(join(root, readme));
  return { path: isFolder ? readme : path, hash };
}

/**
 * Has links to pages lead to them from wherever a page is shown, and those to other files of the
 * repository, which the site does not have, be texts with the file's path.
 * @param {import('vitepress').MarkdownRenderer} markdown
 * @param {{ root: string, isPage: (path: string) => boolean }} repository
 */
export function linkPages(markdown, { root, isPage: isShown }) {
  markdown.core.ruler.push('repository-links', ({ tokens, env }) => {
    const page = relative(root, env.realPath ?? env.path);
    for (const { children } of tokens) linkTexts(children ?? [], page);
  });
  // Vue would compute what stands between such braces.
  const { text } = markdown.renderer.rules;
  if (!text) throw new Error('site: markdown-it has no rule for texts');
  markdown.renderer.rules.text = (...parameters) =>
    text(...parameters).replaceAll('{{', '&#123;&#123;');

  /** @param {readonly Token[]} tokens @param {string} page */
  function linkTexts(tokens, page) {
    let isFile = false;
    for (const token of tokens) {
      if (token.type === 'link_open') {
        const target = targetOf(token.attrGet('href') ?? '', page, root);
        isFile = target !== null && !isShown(target.path);
        if (!target) continue;
        if (isFile) asText(token, target.path);
        else token.attrSet('href', `/${target.path.replace('docs/index.md', '')}${target.hash}`);
      } else if (token.type === 'link_close' && isFile) {
        asText(token, null);
        isFile = false;
      }
    }
  }
}

/**
 * Of markdown-it.
 * @typedef {{
 *   type: string,
 *   tag: string,
 *   attrs: [string, string][] | null,
 *   attrGet(name: string): string | null,
 *   attrSet(name: string, value: string): void,
 * }} Token
 */

/** @param {Token} token @param {string | null} path */
function asText(token, path) {
  token.type = path === null ? 'file_close' : 'file_open';
  token.tag = 'span';
  token.attrs =
    path === null
      ? null
      : [
          ['class', 'in-repository'],
          ['title', path],
        ];
}
