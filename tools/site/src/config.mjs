import { join } from 'node:path';
import process from 'node:process';
import { slug } from 'github-slugger';
import { defineConfig } from 'vitepress';

import { workspaceRoot } from '../../setup/workspace.mjs';
import { isPage, linkPages } from './links.mjs';
import { sections } from './sections.mjs';

const dist = join(workspaceRoot, 'dist');

/**
 * Pages keep the places that they have in the repository, so that their links hold in either: the
 * site's root is the repository's, but for its first page.
 */
export default defineConfig({
  title: 'emloc',
  description: 'Fine-tunes a model on a device that has just enough memory to run it',
  lang: 'en',
  srcDir: workspaceRoot,
  srcExclude: ['dist/**', 'out/**', 'coverage/**', '.*/**'],
  rewrites: { 'docs/index.md': 'index.md' },
  outDir: join(dist, 'site'),
  cacheDir: join(dist, 'site-cache'),
  lastUpdated: false,
  metaChunk: true,
  markdown: {
    // Angle brackets and names of files are what they are in these pages.
    html: false,
    linkify: false,
    ...(process.env['EMLOC_SITE_PLAIN'] && { highlight: escaped }),
    anchor: { slugify: (text) => slug(text) },
    config: (markdown) => linkPages(markdown, { root: workspaceRoot, isPage }),
  },
  themeConfig: {
    nav: sections.map(({ title, pages: [first = ''] }) => ({ text: title, link: `/${first}` })),
    sidebar: sections.map(({ title, pages, titles }) => ({
      text: title,
      collapsed: title === 'Packages',
      items: pages.map((page, index) => ({ text: titles[index], link: `/${page}` })),
    })),
    outline: [2, 3],
    search: { provider: 'local' },
    docFooter: { prev: false, next: false },
  },
  vite: { publicDir: false, build: { chunkSizeWarningLimit: 4096 } },
});

/** @param {string} code */
function escaped(code) {
  return `<pre v-pre><code>${code.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</code></pre>`;
}
