import { resolve } from 'node:path';

import { defineCommand } from '../../command/define-command.js';
import { requiredFlag, switchFlag, textFlag } from '../../command/flag.js';
import { downloadInto } from '../../download-place.js';
import { connectionFlags, withClient } from '../../flags/connection.js';
import { jobArgument, jobNameOf } from './job-argument.js';

export const command = defineCommand({
  argument: jobArgument,
  flags: {
    out: requiredFlag('--out <dir>', 'folder of the adapter, or the file for --artifact'),
    merged: switchFlag('--merged', 'the merged checkpoint in place of the adapter'),
    artifact: textFlag(
      '--artifact <name>',
      'one file, by the name that `emloc jobs artifacts` shows',
    ),
    overwrite: switchFlag(
      '--overwrite',
      'replace an adapter, a checkpoint or the file that is there already',
    ),
    ...connectionFlags,
  },
  examples: ['jobs download jobs/4f1c --out ./my-adapter'],
  run: ({ argument, values, progress, signal }) =>
    withClient(values, async (client) => {
      const { merged, artifact, overwrite } = values;
      const [job, out] = [jobNameOf(argument), resolve(values.out)];
      const onProgress = (done: number, total: number): void =>
        progress.update('downloading', done, total);
      const onNotice = (message: string): void => progress.observe({ type: 'notice', message });
      const options = { signal, overwrite, onProgress };
      const part = merged ? 'merged' : 'adapter';
      if (artifact === undefined)
        await downloadInto(client, job, { ...options, out, part, onNotice });
      else await client.downloadArtifact(artifactNameOf(job, artifact), out, options);
      const what = artifact ?? (merged ? 'merged checkpoint' : 'adapter');
      return { document: { job, out }, text: `${what} in ${out}` };
    }),
});

function artifactNameOf(job: string, text: string): string {
  return text.includes('/artifacts/') ? text : `${job}/artifacts/${text}`;
}
