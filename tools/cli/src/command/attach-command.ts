import type { Command } from 'commander';

import { withCommonFlags } from '../flags/common.js';
import type { CommandTools, DefinedCommand } from './define-command.js';
import { runCommand } from './run-command.js';

/** Gives a command that is known by name what it takes, says and does. */
export function attachCommand(
  command: Command,
  defined: DefinedCommand,
  everyCommand: CommandTools['everyCommand'],
): void {
  const { argument, target, flags, notes, examples } = defined;
  for (const one of [argument, target]) if (one) command.argument(one.name, one.help);
  for (const option of withCommonFlags(flags)) command.addOption(option);
  const example = `Example:\n${examples.map((each) => `  emloc ${each}`).join('\n')}`;
  command
    .addHelpText('after', `\n${[notes, example].filter(Boolean).join('\n\n')}`)
    .action(() => runCommand(defined, command, everyCommand));
}
