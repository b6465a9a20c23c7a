import { defineCommand } from '../../command/define-command.js';
import { switchFlag } from '../../command/flag.js';
import { connectionFlags, withClient } from '../../flags/connection.js';
import { jobArgument, jobNameOf } from './job-argument.js';

export const command = defineCommand({
  argument: jobArgument,
  flags: {
    allowMissing: switchFlag('--allow-missing', 'a job that is not there is no error'),
    ...connectionFlags,
  },
  examples: ['jobs delete jobs/4f1c'],
  run: ({ argument, values, signal }) =>
    withClient(values, async (client) => {
      const name = jobNameOf(argument);
      await client.deleteJob(name, { allowMissing: values.allowMissing, signal });
      return { document: { deleted: name }, text: `${name} deleted` };
    }),
});
