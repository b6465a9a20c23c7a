import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { workspaceRoot } from '../../setup/workspace.mjs';

const introduction = `# SDK

Every name that \`@emloc/sdk\` exports, from its types and their comments. [\`libs/sdk\`](../../libs/sdk/README.md) begins with an example, and says what can be relied on: repetition, watches, downloads that resume.
Made by \`UPDATE_DOCS=1 npm run jest -- tools/site\`.
`;

/**
 * `docs/reference/sdk.md`: the types of the SDK on one page.
 * @param {string} folder for files on the way, empty
 * @returns {Promise<string>}
 * @throws Error where the types cannot be read
 */
export async function sdkPage(folder) {
  const { Application } = await import('typedoc');
  const application = await Application.bootstrapWithPlugins(
    /** @type {Partial<import('typedoc').TypeDocOptions>} */ ({
      entryPoints: [join(workspaceRoot, 'libs', 'sdk', 'src', 'index.ts')],
      tsconfig: join(workspaceRoot, 'tools', 'site', 'tsconfig.json'),
      plugin: ['typedoc-plugin-markdown'],
      out: folder,
      readme: 'none',
      disableSources: true,
      excludePrivate: true,
      // The type check of the repository has seen to it.
      skipErrorChecking: true,
      logLevel: 'Error',
      ...markdown,
    }),
  );
  const project = await application.convert();
  if (!project) throw new Error('site: typedoc could not read the types of the SDK');
  await application.generateOutputs(project);
  const text = readFileSync(join(folder, 'README.md'), 'utf8');
  return `${introduction}\n${plain(text.trim())}\n`;
}

/** Without anchors in HTML and what leads to them, and with a name for what is taken apart. */
function plain(/** @type {string} */ text) {
  return text
    .replace(/<a id="property-[^"]*"><\/a> /g, '')
    .replace(/\[([^\]]*)\]\(#property-[^)]*\)/g, '$1')
    .replaceAll('__namedParameters', 'options');
}

const markdown = {
  outputFileStrategy: 'modules',
  hidePageHeader: true,
  hidePageTitle: true,
  hideBreadcrumbs: true,
  useCodeBlocks: true,
  indexFormat: 'table',
  parametersFormat: 'table',
  interfacePropertiesFormat: 'table',
  typeDeclarationFormat: 'table',
  enumMembersFormat: 'table',
};
