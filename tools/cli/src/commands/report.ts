import { resolve } from 'node:path';
import { writeReport } from '@emloc/report';

import { defineCommand } from '../command/define-command.js';
import { switchFlag, textFlag } from '../command/flag.js';

export const command = defineCommand({
  argument: { name: '<dir>', help: 'folder of an adapter' },
  flags: {
    before: textFlag(
      '--before <file>',
      'answers of the base model: a document of `eval --answers --json`',
    ),
    after: textFlag('--after <file>', 'answers with the adapter, likewise'),
    out: textFlag('--out <file>', 'the page (default: report.html in the folder)'),
    overwrite: switchFlag('--overwrite', 'replace a file that was not written here'),
  },
  examples: ['report ./my-adapter', 'report ./my-adapter --before base.json --after tuned.json'],
  run: async ({ argument, values: { before, after, out, overwrite } }) => {
    const file = (path: string | undefined): string | undefined =>
      path === undefined ? undefined : resolve(path);
    const report = await writeReport(resolve(argument), {
      ...{ before: file(before), after: file(after), out: file(out), overwrite },
    });
    return { document: { report }, text: report };
  },
});
