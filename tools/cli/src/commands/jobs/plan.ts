import { isMethodChoice } from '@emloc/pipeline';

import { defineCommand } from '../../command/define-command.js';
import { connectionFlags, withClient } from '../../flags/connection.js';
import { tableOptions } from '../../flags/options.js';
import { planTable } from '../../output/tables.js';
import { remoteOptions } from './remote-options.js';

export const command = defineCommand({
  options: tableOptions('jobs', 'model', 'data'),
  flags: connectionFlags,
  examples: ['jobs plan --model /models/base --data server:/data/train.jsonl --vram 16GiB'],
  run: ({ options, values, ...tools }) =>
    withClient(values, async (client) => {
      const plan = await client.planJob(await remoteOptions(client, options, tools), {
        signal: tools.signal,
      });
      const { methodChoice: choice } = plan;
      const known = isMethodChoice(choice) ? { choice } : {};
      return { document: plan, text: planTable({ ...plan, ...known }) };
    }),
});
