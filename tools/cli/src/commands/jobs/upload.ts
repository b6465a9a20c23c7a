import { formatBytes } from '@emloc/device';

import { defineCommand } from '../../command/define-command.js';
import { textFlag } from '../../command/flag.js';
import { connectionFlags, withClient } from '../../flags/connection.js';
import { upload } from './remote-options.js';

export const command = defineCommand({
  argument: {
    name: '<path>',
    help: 'rows, with the images that they name, or a folder of pictures',
  },
  flags: {
    name: textFlag('--name <text>', 'name for people (default: that of the file or folder)'),
    ...connectionFlags,
  },
  examples: ['jobs upload train.jsonl', 'jobs upload photos/'],
  run: ({ argument, values, ...tools }) =>
    withClient(values, async (client) => {
      const dataset = await upload(client, argument, { ...tools, displayName: values.name });
      return { document: dataset, text: `${dataset.name}  ${formatBytes(dataset.sizeBytes)}` };
    }),
});
