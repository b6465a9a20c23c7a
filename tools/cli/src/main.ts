import process from 'node:process';
import { Command, CommanderError } from 'commander';

import { addCommands } from './command/command-tree.js';
import { commands } from './commands/index.js';
import { exitCodes } from './exit-code.js';
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

addCommands(program, commands);

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
    const { describeError } = await import('./output/describe-error.js');
    process.stderr.write(`${describeError(error)}\n`);
    return exitCodes.failed;
  }
}
