import type { Job } from '@emloc/sdk';

import { defineCommand } from '../../command/define-command.js';
import { parsedFlag, textFlag } from '../../command/flag.js';
import { connectionFlags, withClient } from '../../flags/connection.js';
import { positive } from '../../flags/numbers.js';
import { jobsTable } from '../../output/jobs-tables.js';

const usualLimit = 50;

/** As many as a page may have. */
const mostPerPage = 1000;

export const command = defineCommand({
  flags: {
    state: textFlag(
      '--state <state>',
      'only those that are queued, running, cancelling, succeeded, failed or cancelled',
    ),
    filter: textFlag(
      '--filter <filter>',
      'comparisons joined by AND, such as \'display_name = "a" AND create_time > "2026-01-01T00:00:00Z"\'',
    ),
    limit: parsedFlag('--limit <n>', `at most so many (default: ${usualLimit})`, positive),
    ...connectionFlags,
  },
  examples: ['jobs list --state running'],
  run: ({ values, signal }) =>
    withClient(values, async (client) => {
      const { limit = usualLimit } = values;
      const listed: Job[] = [];
      for await (const job of client.listJobs({
        filter: filterOf(values),
        pageSize: Math.min(limit, mostPerPage),
        signal,
      })) {
        listed.push(job);
        if (listed.length === limit) break;
      }
      return { document: { jobs: listed }, text: jobsTable(listed) };
    }),
});

function filterOf({
  state,
  filter,
}: {
  readonly state: string | undefined;
  readonly filter: string | undefined;
}): string {
  return [state === undefined ? '' : `state = ${state.toUpperCase()}`, filter]
    .filter(Boolean)
    .join(' AND ');
}
