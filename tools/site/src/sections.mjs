import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { listWorkspaces, workspaceRoot } from '../../setup/workspace.mjs';

/**
 * A part of the sidebar.
 * @typedef {{ title: string, pages: readonly string[] }} Section paths relative to the root
 */

/** @type {readonly Section[]} */
const written = [
  {
    title: 'Guide',
    pages: [
      'docs/guide/quickstart.md',
      'docs/guide/how-it-works.md',
      'docs/guide/choosing.md',
      'recipes/README.md',
      'docs/guide/plan.md',
      'docs/guide/data.md',
      'docs/guide/images.md',
      'docs/guide/example-images.md',
      'docs/guide/pictures.md',
      'docs/guide/example-flux.md',
      'docs/guide/models.md',
      'docs/guide/generation.md',
      'docs/guide/scores.md',
      'docs/guide/adapters.md',
      'docs/guide/report.md',
      'docs/guide/hub.md',
      'docs/guide/troubleshooting.md',
    ],
  },
  {
    title: 'Reference',
    pages: [
      'docs/reference/commands.md',
      'docs/reference/options.md',
      'docs/errors.md',
      'docs/reference/exit-codes.md',
      'docs/reference/log.md',
      'docs/reference/metrics.md',
      'docs/reference/sdk.md',
      'proto/README.md',
      'CHANGELOG.md',
    ],
  },
  {
    title: 'Operate',
    pages: [
      'docs/operate/serving.md',
      'docs/operate/operations.md',
      'docs/operate/untrusted-files.md',
      'deploy/README.md',
      'services/README.md',
    ],
  },
  {
    title: 'Inside',
    pages: [
      'README.md',
      'docs/inside/algorithm.md',
      'docs/inside/performance.md',
      'CONTRIBUTING.md',
      'docs/adding-a-family.md',
      'docs/adding-an-operation.md',
      'docs/inside/releasing.md',
      'examples/README.md',
      'examples/models/README.md',
      'examples/images/README.md',
      'examples/flux/README.md',
    ],
  },
  { title: 'Packages', pages: listWorkspaces().map((workspace) => `${workspace}/README.md`) },
];

/** Of pages whose own would say nothing in a list. @type {Readonly<Record<string, string>>} */
const shortTitles = {
  'README.md': 'README',
  'examples/images/README.md': 'Example: images',
  'examples/flux/README.md': 'Example: FLUX',
};

/** What a page calls itself. @param {string} page */
function titleOf(page) {
  if (page in shortTitles) return shortTitles[page];
  const text = readFileSync(join(workspaceRoot, page), 'utf8');
  const [, title] = /^# (.+)$/m.exec(text) ?? [];
  if (title === undefined) throw new Error(`${page} has no title`);
  return title;
}

/** Sections with the titles of their pages, in their order. */
export const sections = written.map((section) => ({
  ...section,
  titles: section.pages.map(titleOf),
}));
