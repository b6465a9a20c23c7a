import type { Command } from 'commander';

import { commonFlags } from '../flags/common.js';
import type { DefinedCommand } from './define-command.js';
import { toOptions } from './flag.js';
import { runCommand } from './run-command.js';

/** Gives a command that is known by name what it takes, says and does. */
export function attachCommand(command: Command, defined: DefinedCommand): void {
  const { argument, flags, notes, examples } = defined;
  if (argument) command.argument(argument.name, argument.help);
  for (const option of [...flags, ...toOptions(commonFlags)]) command.addOption(option);
  const example = `Example:\n${examples.map((each) => `  emloc ${each}`).join('\n')}`;
  command
    .addHelpText('after', `\n${[notes, example].filter(Boolean).join('\n\n')}`)
    .action(() => runCommand(defined, command));
}
