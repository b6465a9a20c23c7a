import type { Command } from 'commander';

import { addCreateJobCommand, addPlanJobCommand, addUploadCommand } from './jobs-create.js';
import {
  addArtifactsCommand,
  addCancelJobCommand,
  addDeleteJobCommand,
  addGetJobCommand,
  addListJobsCommand,
} from './jobs-list.js';
import { addDownloadCommand, addWatchJobCommand } from './jobs-watch.js';

export function addJobsCommand(program: Command): void {
  const jobs = program
    .command('jobs')
    .description('jobs on a remote deployment')
    .addHelpText(
      'after',
      '\nExample:\n  emloc jobs create --server 127.0.0.1:7070 --model /models/base --data train.jsonl --watch --download ./my-adapter',
    );
  addCreateJobCommand(jobs);
  addListJobsCommand(jobs);
  addGetJobCommand(jobs);
  addWatchJobCommand(jobs);
  addCancelJobCommand(jobs);
  addDeleteJobCommand(jobs);
  addArtifactsCommand(jobs);
  addDownloadCommand(jobs);
  addPlanJobCommand(jobs);
  addUploadCommand(jobs);
}
