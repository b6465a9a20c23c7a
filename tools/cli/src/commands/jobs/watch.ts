import type { JobEvent } from '@emloc/sdk';

import { defineCommand } from '../../command/define-command.js';
import { parsedFlag, wholeNumber } from '../../command/flag.js';
import { endingCode } from '../../exit-code.js';
import { connectionFlags, withClient } from '../../flags/connection.js';
import { createJobDisplay } from '../../output/job-display.js';
import { jobTable } from '../../output/jobs-tables.js';
import { jobArgument, jobNameOf } from './job-argument.js';

export const command = defineCommand({
  argument: jobArgument,
  flags: {
    after: parsedFlag(
      '--after <sequence>',
      'only what follows this event',
      wholeNumber(0, Number.MAX_SAFE_INTEGER),
    ),
    ...connectionFlags,
  },
  notes:
    'With --json: a line {"event": ...} for each event, and a last line {"job": ...} when the job has succeeded.' +
    '\nThe exit code is 0 only when it has succeeded, 3 where its training diverged or its adapter is worse than the base model.',
  examples: ['jobs watch jobs/4f1c'],
  run: ({ argument, values, progress, signal, show }) =>
    withClient(values, async (client) => {
      const display = createJobDisplay(progress);
      const onEvent = (event: JobEvent): void => {
        display.onEvent(event);
        show({ document: { event }, text: '' });
      };
      const job = await client.waitForJob(jobNameOf(argument), {
        signal,
        afterSequence: values.after,
        onEvent,
        onInterruption: display.onInterruption,
      });
      const exitCode = endingCode(job.report?.ending ?? null);
      return { document: { job }, text: jobTable(job), exitCode };
    }),
});
