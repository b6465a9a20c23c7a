import { resolve } from 'node:path';
import { at } from '@emloc/checked';
import { formatBytes } from '@emloc/device';
import { resolveTuneOptions } from '@emloc/pipeline';
import {
  type CreateJobOptions,
  type Dataset,
  type EmlocClient,
  type MergeDtype,
  type PlainTuneOptions,
} from '@emloc/sdk';
import type { Command } from 'commander';

import { connectionFlags, withClient } from '../connection.js';
import { assertDownloadable, downloadInto } from '../download-place.js';
import { checkOptions, endingCode } from '../exit-code.js';
import { addFlags, commonFlags, optionFlags, optionValues, type FlagValues } from '../flags.js';
import {
  assertUploadable,
  deployedFolder,
  deployedSource,
  type JobSource,
} from '../job-sources.js';
import { countedIn } from '../output/counted.js';
import { createJobDisplay } from '../output/job-display.js';
import { jobTable } from '../output/jobs-tables.js';
import type { Progress } from '../output/progress.js';
import { planTable } from '../output/tables.js';
import { runCommand, type CommandContext } from '../run-command.js';
import { UsageError } from '../usage-error.js';

export function addCreateJobCommand(jobs: Command): void {
  const command = jobs
    .command('create')
    .description('queue a job; with --watch and --download also wait for it and fetch the adapter');
  addFlags(command, optionFlags('jobs'))
    .option('--name <text>', 'name for people')
    .option(
      '--merge [dtype]',
      'also make a merged checkpoint: float32, bfloat16, float16 (default: that of the model)',
    )
    .option('--request-id <uuid>', 'repeating the command with the same one gives the same job')
    .option('--watch', 'wait for the job and show how far it is; an interruption leaves it running')
    .option('--download <dir>', 'wait for the job and write its adapter')
    .option('--overwrite', 'replace an adapter that is there already');
  addFlags(command, connectionFlags, commonFlags)
    .addHelpText(
      'after',
      '\nExample:\n  emloc jobs create --model /models/base --data train.jsonl --vram 16GiB --watch --download ./my-adapter',
    )
    .action(
      runCommand(['model', 'data'], (context) =>
        withClient(context.values, (client) => createJob(client, context)),
      ),
    );
}

async function createJob(
  client: EmlocClient,
  context: CommandContext,
): ReturnType<Parameters<typeof runCommand>[1]> {
  const { values, progress, signal } = context;
  const [download, overwrite] = [
    values['download'] as string | undefined,
    values['overwrite'] === true,
  ];
  const merge = mergeOf(values['merge']);
  if (download !== undefined)
    await assertDownloadable({ out: download, part: 'adapter', overwrite });
  const created = await client.createJob(
    {
      options: await remoteOptions(client, context),
      merge,
      displayName: values['name'] as string | undefined,
      requestId: values['requestId'] as string | undefined,
    },
    { signal },
  );
  if (values['watch'] !== true && download === undefined)
    return { document: created, text: created.name };
  progress.observe({ type: 'notice', message: `${created.name} created` });
  progress.counts(countedIn(created));
  const job = await client.waitForJob(created.name, { signal, ...createJobDisplay(progress) });
  const exitCode = endingCode(job.report?.ending ?? null);
  if (download === undefined) return { document: job, text: jobTable(job), exitCode };
  const onProgress = (done: number, total: number): void =>
    progress.update('downloading', done, total);
  const onNotice = (message: string): void => progress.observe({ type: 'notice', message });
  const target = { out: download, part: 'adapter', overwrite } as const;
  await downloadInto(client, job.name, { ...target, signal, onProgress, onNotice });
  return {
    document: { ...job, folder: resolve(download) },
    text: `${jobTable(job)}\n\nadapter in ${resolve(download)}`,
    exitCode,
  };
}

export function addPlanJobCommand(jobs: Command): void {
  const command = jobs
    .command('plan')
    .description('peak memory and time of each stage on the deployment, before anything runs');
  addFlags(command, optionFlags('jobs'), connectionFlags, commonFlags)
    .addHelpText(
      'after',
      '\nExample:\n  emloc jobs plan --model /models/base --data server:/data/train.jsonl --vram 16GiB',
    )
    .action(
      runCommand(['model', 'data'], (context) =>
        withClient(context.values, async (client) => {
          const plan = await client.planJob(await remoteOptions(client, context), {
            signal: context.signal,
          });
          return { document: plan, text: planTable(plan) };
        }),
      ),
    );
}

export function addUploadCommand(jobs: Command): void {
  const command = jobs
    .command('upload')
    .description('store rows on the deployment, for several jobs')
    .argument('<file>', 'rows, JSONL')
    .option('--name <text>', 'name for people (default: that of the file)');
  addFlags(command, connectionFlags, commonFlags)
    .addHelpText('after', '\nExample:\n  emloc jobs upload train.jsonl')
    .action(
      runCommand([], (context) =>
        withClient(context.values, async (client) => {
          const dataset = await upload(client, at(context.args, 0), {
            ...context,
            displayName: context.values['name'] as string | undefined,
          });
          return { document: dataset, text: `${dataset.name}  ${formatBytes(dataset.sizeBytes)}` };
        }),
      ),
    );
}

/**
 * The job that the flags describe, with its local files uploaded: not before its options have been
 * looked at, which the deployment does again.
 */
async function remoteOptions(
  client: EmlocClient,
  context: CommandContext,
): Promise<PlainTuneOptions> {
  const { data, validation, classData, ...same } = optionValues(
    'jobs',
    context.values,
  ) as PlainTuneOptions & { data: string; validation?: string; classData?: string };
  checkOptions(() => resolveTuneOptions({ ...same, classData, validation, data, out: '' }));
  const sourceOf = async (flag: string, text: string): Promise<JobSource> => {
    const deployed = deployedSource(text);
    if (deployed !== null) return deployed;
    await assertUploadable(flag, text);
    return { dataset: (await upload(client, text, context)).name };
  };
  return {
    ...same,
    ...(classData === undefined ? {} : { classData: deployedFolder('--class-data', classData) }),
    data: await sourceOf('--data', data),
    ...(validation === undefined ? {} : { validation: await sourceOf('--validation', validation) }),
  };
}

function upload(
  client: EmlocClient,
  file: string,
  {
    progress,
    signal,
    displayName,
  }: { progress: Progress; signal: AbortSignal; displayName?: string },
): Promise<Dataset> {
  return client.uploadDataset(file, {
    signal,
    displayName,
    onProgress: (done, total) => progress.update('uploading', done, total),
  });
}

const dtypes: readonly MergeDtype[] = ['float32', 'bfloat16', 'float16'];

function mergeOf(value: FlagValues[string]): CreateJobOptions['merge'] {
  if (value === undefined) return null;
  if (value === true) return {};
  const dtype = dtypes.find((known) => known === value);
  if (!dtype) throw new UsageError(`--merge ${String(value)}: expected ${dtypes.join(', ')}`);
  return { dtype };
}
