import { at } from '@emloc/checked';
import { hubModel, parseHubName } from '@emloc/hub';
import type { Command } from 'commander';

import { addFlags, commonFlags } from '../flags.js';
import { hubHost } from '../model-folder.js';
import { runCommand } from '../run-command.js';
import { UsageError } from '../usage-error.js';

export function addFetchCommand(program: Command): void {
  const command = program
    .command('fetch')
    .argument('<name>', 'OWNER/NAME[@REVISION]')
    .description(
      'download a model of a hub into the cache, for use without a network or by services',
    );
  addFlags(command, commonFlags)
    .addHelpText('after', '\nExample:\n  emloc fetch Qwen/Qwen2.5-0.5B@main')
    .action(
      runCommand([], async (context) => {
        const text = at(context.args, 0);
        const hubName = parseHubName(text);
        if (hubName === null)
          throw new UsageError(`${text.slice(0, 200)}: OWNER/NAME[@REVISION] is expected`);
        const { settings, ...host } = hubHost(text, context);
        const model = await hubModel(hubName, { ...host, settings: settings() });
        return { document: model, text: model.folder };
      }),
    );
}
