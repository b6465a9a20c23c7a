import process from 'node:process';
import { Command } from 'commander';

import { addDataCommand } from './commands/data.js';
import { addEvalCommand } from './commands/eval.js';
import { addFetchCommand } from './commands/fetch.js';
import { addGenerateCommand } from './commands/generate.js';
import { addInfoCommand } from './commands/info.js';
import { addJobsCommand } from './commands/jobs.js';
import { addMergeCommand } from './commands/merge.js';
import { addPlanCommand } from './commands/plan.js';
import { addServeCommand } from './commands/serve.js';
import { addTuneCommand } from './commands/tune.js';
import { told } from './output/visible.js';
import { programVersion } from './version.js';

const program = new Command('emloc')
  .description(
    'Fine-tune a model on the device that just fits it for inference (EMLoC, arXiv 2506.12015)',
  )
  .version(programVersion)
  .configureOutput({ writeErr: (text) => process.stderr.write(told(text)) })
  .showHelpAfterError('(add --help for what is expected)');

addDataCommand(program);
addTuneCommand(program);
addPlanCommand(program);
addEvalCommand(program);
addGenerateCommand(program);
addMergeCommand(program);
addFetchCommand(program);
addInfoCommand(program);
addServeCommand(program);
addJobsCommand(program);

await program.parseAsync(process.argv);
