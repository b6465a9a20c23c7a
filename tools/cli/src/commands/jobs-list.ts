import { isFinalState, type Artifact, type Job } from '@emloc/sdk';
import { InvalidArgumentError, type Command } from 'commander';

import { connectionFlags, withClient } from '../connection.js';
import { addFlags, commonFlags, type FlagValues } from '../flags.js';
import { jobNameOf } from '../job-name.js';
import { createJobDisplay } from '../output/job-display.js';
import { artifactsTable, jobsTable, jobTable } from '../output/jobs-tables.js';
import { runCommand } from '../run-command.js';

export function addListJobsCommand(jobs: Command): void {
  const command = jobs
    .command('list')
    .description('jobs, the newest first')
    .option(
      '--state <state>',
      'only those that are queued, running, cancelling, succeeded, failed or cancelled',
    )
    .option(
      '--filter <filter>',
      'comparisons joined by AND, such as \'display_name = "a" AND create_time > "2026-01-01T00:00:00Z"\'',
    )
    .option('--limit <n>', 'at most so many (default: 50)', positive);
  addFlags(command, connectionFlags, commonFlags)
    .addHelpText('after', '\nExample:\n  emloc jobs list --state running')
    .action(
      runCommand([], ({ values, signal }) =>
        withClient(values, async (client) => {
          const limit = (values['limit'] as number | undefined) ?? 50;
          const listed: Job[] = [];
          for await (const job of client.listJobs({
            filter: filterOf(values),
            pageSize: Math.min(limit, 1000),
            signal,
          })) {
            listed.push(job);
            if (listed.length === limit) break;
          }
          return { document: { jobs: listed }, text: jobsTable(listed) };
        }),
      ),
    );
}

function filterOf({ state, filter }: FlagValues): string {
  return [state === undefined ? '' : `state = ${String(state).toUpperCase()}`, filter ?? '']
    .filter(Boolean)
    .join(' AND ');
}

function positive(text: string): number {
  if (!/^[1-9]\d*$/.test(text))
    throw new InvalidArgumentError('A whole number of at least 1 is expected.');
  return Number(text);
}

export function addGetJobCommand(jobs: Command): void {
  const command = jobs
    .command('get')
    .description('a job as it is now')
    .argument('<job>', 'jobs/ID or ID');
  addFlags(command, connectionFlags, commonFlags)
    .addHelpText('after', '\nExample:\n  emloc jobs get jobs/4f1c')
    .action(
      runCommand([], ({ args, values, signal }) =>
        withClient(values, async (client) => {
          const job = await client.getJob(jobNameOf(args[0]), { signal });
          return { document: job, text: jobTable(job) };
        }),
      ),
    );
}

export function addCancelJobCommand(jobs: Command): void {
  const command = jobs
    .command('cancel')
    .description('ask a job to stop')
    .argument('<job>', 'jobs/ID or ID')
    .option('--wait', 'until it has stopped');
  addFlags(command, connectionFlags, commonFlags)
    .addHelpText('after', '\nExample:\n  emloc jobs cancel jobs/4f1c --wait')
    .action(
      runCommand([], ({ args, values, progress, signal }) =>
        withClient(values, async (client) => {
          let job = await client.cancelJob(jobNameOf(args[0]), { signal });
          if (values['wait'] === true && !isFinalState(job.state)) {
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
      ),
    );
}

export function addDeleteJobCommand(jobs: Command): void {
  const command = jobs
    .command('delete')
    .description('delete a job that is over, with its events and artifacts')
    .argument('<job>', 'jobs/ID or ID')
    .option('--allow-missing', 'a job that is not there is no error');
  addFlags(command, connectionFlags, commonFlags)
    .addHelpText('after', '\nExample:\n  emloc jobs delete jobs/4f1c')
    .action(
      runCommand([], ({ args, values, signal }) =>
        withClient(values, async (client) => {
          const name = jobNameOf(args[0]);
          await client.deleteJob(name, { allowMissing: values['allowMissing'] === true, signal });
          return { document: { deleted: name }, text: `${name} deleted` };
        }),
      ),
    );
}

export function addArtifactsCommand(jobs: Command): void {
  const command = jobs
    .command('artifacts')
    .description('files that a job has made')
    .argument('<job>', 'jobs/ID or ID');
  addFlags(command, connectionFlags, commonFlags)
    .addHelpText('after', '\nExample:\n  emloc jobs artifacts jobs/4f1c')
    .action(
      runCommand([], ({ args, values, signal }) =>
        withClient(values, async (client) => {
          const artifacts: Artifact[] = [];
          for await (const artifact of client.listArtifacts(jobNameOf(args[0]), { signal }))
            artifacts.push(artifact);
          return { document: { artifacts }, text: artifactsTable(artifacts) };
        }),
      ),
    );
}
