import { hubModel, parseHubName } from '@emloc/hub';

import { defineCommand } from '../command/define-command.js';
import { hubHost } from '../model-folder.js';
import { UsageError } from '../usage-error.js';

export const command = defineCommand({
  argument: { name: '<name>', help: 'OWNER/NAME[@REVISION]' },
  flags: {},
  examples: ['fetch Qwen/Qwen2.5-0.5B@main'],
  run: async ({ argument: text, ...tools }) => {
    const hubName = parseHubName(text);
    if (hubName === null)
      throw new UsageError(`${text.slice(0, 200)}: OWNER/NAME[@REVISION] is expected`);
    const { settings, ...host } = hubHost(text, tools);
    const model = await hubModel(hubName, { ...host, settings: settings() });
    return { document: model, text: model.folder };
  },
});
