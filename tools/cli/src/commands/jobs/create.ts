import { resolve } from 'node:path';
import type { CreateJobOptions, MergeDtype } from '@emloc/sdk';

import { defineCommand } from '../../command/define-command.js';
import { choiceFlag, switchFlag, textFlag } from '../../command/flag.js';
import { assertDownloadable, downloadInto } from '../../download-place.js';
import { endingCode } from '../../exit-code.js';
import { connectionFlags, withClient } from '../../flags/connection.js';
import { tableOptions } from '../../flags/options.js';
import { countedIn } from '../../output/counted.js';
import { createJobDisplay } from '../../output/job-display.js';
import { jobTable } from '../../output/jobs-tables.js';
import { remoteOptions } from './remote-options.js';

export const command = defineCommand({
  options: tableOptions('jobs', 'model', 'data'),
  flags: {
    name: textFlag('--name <text>', 'name for people'),
    merge: choiceFlag(
      '--merge [dtype]',
      'also make a merged checkpoint (default: in the dtype of the model)',
      ['float32', 'bfloat16', 'float16'],
    ),
    requestId: textFlag(
      '--request-id <uuid>',
      'repeating the command with the same one gives the same job',
    ),
    watch: switchFlag(
      '--watch',
      'wait for the job and show how far it is; an interruption leaves it running',
    ),
    download: textFlag('--download <dir>', 'wait for the job and write its adapter'),
    overwrite: switchFlag('--overwrite', 'replace an adapter that is there already'),
    ...connectionFlags,
  },
  examples: [
    'jobs create --model /models/base --data train.jsonl --vram 16GiB --watch --download ./my-adapter',
  ],
  run: ({ options, values, ...tools }) =>
    withClient(values, async (client) => {
      const { progress, signal } = tools;
      const { download: out, overwrite } = values;
      const target = out === undefined ? null : ({ out, part: 'adapter', overwrite } as const);
      if (target) await assertDownloadable(target);
      const created = await client.createJob(
        {
          options: await remoteOptions(client, options, tools),
          merge: mergeOf(values.merge),
          displayName: values.name,
          requestId: values.requestId,
        },
        { signal },
      );
      if (!values.watch && !target) return { document: created, text: created.name };
      progress.observe({ type: 'notice', message: `${created.name} created` });
      progress.counts(countedIn(created));
      const job = await client.waitForJob(created.name, { signal, ...createJobDisplay(progress) });
      const exitCode = endingCode(job.report?.ending ?? null);
      if (!target) return { document: job, text: jobTable(job), exitCode };
      const onProgress = (done: number, total: number): void =>
        progress.update('downloading', done, total);
      const onNotice = (message: string): void => progress.observe({ type: 'notice', message });
      await downloadInto(client, job.name, { ...target, signal, onProgress, onNotice });
      const folder = resolve(target.out);
      return {
        document: { ...job, folder },
        text: `${jobTable(job)}\n\nadapter in ${folder}`,
        exitCode,
      };
    }),
});

function mergeOf(value: MergeDtype | true | undefined): CreateJobOptions['merge'] {
  if (value === undefined) return null;
  return value === true ? {} : { dtype: value };
}
