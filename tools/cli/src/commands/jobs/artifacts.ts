import type { Artifact } from '@emloc/sdk';

import { defineCommand } from '../../command/define-command.js';
import { connectionFlags, withClient } from '../../flags/connection.js';
import { artifactsTable } from '../../output/jobs-tables.js';
import { jobArgument, jobNameOf } from './job-argument.js';

export const command = defineCommand({
  argument: jobArgument,
  flags: connectionFlags,
  examples: ['jobs artifacts jobs/4f1c'],
  run: ({ argument, values, signal }) =>
    withClient(values, async (client) => {
      const artifacts: Artifact[] = [];
      for await (const artifact of client.listArtifacts(jobNameOf(argument), { signal }))
        artifacts.push(artifact);
      return { document: { artifacts }, text: artifactsTable(artifacts) };
    }),
});
