import { isFinalState } from '@emloc/sdk';

import { defineCommand } from '../../command/define-command.js';
import { switchFlag } from '../../command/flag.js';
import { connectionFlags, withClient } from '../../flags/connection.js';
import { createJobDisplay } from '../../output/job-display.js';
import { jobArgument, jobNameOf } from './job-argument.js';

export const command = defineCommand({
  argument: jobArgument,
  flags: { wait: switchFlag('--wait', 'until it has stopped'), ...connectionFlags },
  examples: ['jobs cancel jobs/4f1c --wait'],
  run: ({ argument, values, progress, signal }) =>
    withClient(values, async (client) => {
      let job = await client.cancelJob(jobNameOf(argument), { signal });
      if (values.wait && !isFinalState(job.state)) {
        const { onEvent, onInterruption } = createJobDisplay(progress);
        for await (const event of client.watchJob(job.name, {
          signal,
          afterSequence: job.lastEventSequence,
          onInterruption,
        }))
          onEvent(event);
        job = await client.getJob(job.name, { signal });
      }
      return { document: job, text: `${job.name} ${job.state}` };
    }),
});
