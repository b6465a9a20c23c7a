import { defineCommand } from '../../command/define-command.js';
import { connectionFlags, withClient } from '../../flags/connection.js';
import { jobTable } from '../../output/jobs-tables.js';
import { jobArgument, jobNameOf } from './job-argument.js';

export const command = defineCommand({
  argument: jobArgument,
  flags: connectionFlags,
  examples: ['jobs get jobs/4f1c'],
  run: ({ argument, values, signal }) =>
    withClient(values, async (client) => {
      const job = await client.getJob(jobNameOf(argument), { signal });
      return { document: job, text: jobTable(job) };
    }),
});
