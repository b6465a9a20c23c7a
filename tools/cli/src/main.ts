import process from 'node:process';
import { Command, CommanderError } from 'commander';

import { addDataCommand } from './commands/data.js';
import { addEvalCommand } from './commands/eval.js';
import { addExportCommand } from './commands/export.js';
import { addFetchCommand } from './commands/fetch.js';
import { addGenerateCommand } from './commands/generate.js';
import { addInfoCommand } from './commands/info.js';
import { addJobsCommand } from './commands/jobs.js';
import { addMergeCommand } from './commands/merge.js';
import { addPlanCommand } from './commands/plan.js';
import { addReportCommand } from './commands/report.js';
import { addServeCommand } from './commands/serve.js';
import { addTuneCommand } from './commands/tune.js';
import { exitCodes } from './exit-code.js';
import { describeError } from './output/describe-error.js';
import { told } from './output/visible.js';
import { ignoreFailures, watchOutput } from './output/watch-output.js';
import { programVersion } from './version.js';

ignoreFailures(process.stderr);
const stdout = watchOutput(process.stdout, () => undefined);

const program = new Command('emloc')
  .description(
    'Fine-tune a model on the device that just fits it for inference (EMLoC, arXiv 2506.12015)',
  )
  .version(programVersion)
  .configureOutput({
    writeErr: (text) => process.stderr.write(told(text)),
    outputError: (text, write) => write(text.replace(/^error: /, 'error: CLI_USAGE: ')),
  })
  .exitOverride()
  .showHelpAfterError('(add --help for what is expected)');

addDataCommand(program);
addTuneCommand(program);
addPlanCommand(program);
addEvalCommand(program);
addGenerateCommand(program);
addMergeCommand(program);
addExportCommand(program);
addReportCommand(program);
addFetchCommand(program);
addInfoCommand(program);
addServeCommand(program);
addJobsCommand(program);

try {
  await program.parseAsync(process.argv);
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? await shown() : exitCodes.usage;
}

/** The exit code after help or the version. */
async function shown(): Promise<number> {
  try {
    await stdout.finish();
    return exitCodes.done;
  } catch (error) {
    process.stderr.write(`${describeError(error)}\n`);
    return exitCodes.failed;
  }
}
