import { resolve } from 'node:path';
import type { JobEvent } from '@emloc/sdk';
import { InvalidArgumentError, type Command } from 'commander';

import { connectionFlags, withClient } from '../connection.js';
import { downloadInto } from '../download-place.js';
import { endingCode } from '../exit-code.js';
import { addFlags, commonFlags } from '../flags.js';
import { jobNameOf } from '../job-name.js';
import { createJobDisplay } from '../output/job-display.js';
import { jobTable } from '../output/jobs-tables.js';
import { runCommand } from '../run-command.js';

export function addWatchJobCommand(jobs: Command): void {
  const command = jobs
    .command('watch')
    .description(
      'show a job until it ends; the exit code is 0 only when it has succeeded, 3 where its training diverged or its adapter is worse than the base model',
    )
    .argument('<job>', 'jobs/ID or ID')
    .option('--after <sequence>', 'only what follows this event', whole);
  addFlags(command, connectionFlags, commonFlags)
    .addHelpText(
      'after',
      '\nWith --json: a line {"event": ...} for each event, and a last line {"job": ...} when the job has succeeded.\n\nExample:\n  emloc jobs watch jobs/4f1c',
    )
    .action(
      runCommand([], ({ args, values, progress, signal, printLine }) =>
        withClient(values, async (client) => {
          const display = createJobDisplay(progress);
          const onEvent = (event: JobEvent): void => {
            display.onEvent(event);
            if (values['json'] === true) printLine({ event });
          };
          const afterSequence = values['after'] as number | undefined;
          const job = await client.waitForJob(jobNameOf(args[0]), {
            signal,
            afterSequence,
            onEvent,
            onInterruption: display.onInterruption,
          });
          const exitCode = endingCode(job.report?.ending ?? null);
          return { document: { job }, text: jobTable(job), exitCode };
        }),
      ),
    );
}

function whole(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('A whole number is expected.');
  return Number(text);
}

export function addDownloadCommand(jobs: Command): void {
  const command = jobs
    .command('download')
    .description('write the result of a job; goes on where an earlier attempt stopped')
    .argument('<job>', 'jobs/ID or ID')
    .option('--out <dir>', 'folder of the adapter, or the file for --artifact')
    .option('--merged', 'the merged checkpoint in place of the adapter')
    .option('--artifact <name>', 'one file, by the name that `emloc jobs artifacts` shows')
    .option('--overwrite', 'replace an adapter, a checkpoint or the file that is there already');
  addFlags(command, connectionFlags, commonFlags)
    .addHelpText('after', '\nExample:\n  emloc jobs download jobs/4f1c --out ./my-adapter')
    .action(
      runCommand(['out'], ({ args, values, progress, signal }) =>
        withClient(values, async (client) => {
          const [job, out] = [jobNameOf(args[0]), resolve(values['out'] as string)];
          const options = {
            signal,
            overwrite: values['overwrite'] === true,
            onProgress: (done: number, total: number) =>
              progress.update('downloading', done, total),
            onNotice: (message: string) => progress.observe({ type: 'notice', message }),
          };
          const artifact = values['artifact'] as string | undefined;
          if (artifact === undefined)
            await downloadInto(client, job, {
              ...options,
              out,
              part: values['merged'] === true ? 'merged' : 'adapter',
            });
          else await client.downloadArtifact(artifactNameOf(job, artifact), out, options);
          return {
            document: { job, out },
            text: `${artifact ?? (values['merged'] === true ? 'merged checkpoint' : 'adapter')} in ${out}`,
          };
        }),
      ),
    );
}

function artifactNameOf(job: string, text: string): string {
  return text.includes('/artifacts/') ? text : `${job}/artifacts/${text}`;
}
