import type { Command } from 'commander';

import type { DefinedCommand, NamedCommand } from './define-command.js';

/** What is known of a command before it is loaded, or a group of commands. */
type CommandEntry = { readonly summary: string } & (
  | { load(): Promise<{ readonly command: DefinedCommand }> }
  | { readonly commands: CommandList; readonly example: string }
);

/** Commands by their names, in the order of the help. */
export type CommandList = Readonly<Record<string, CommandEntry>>;

/** Adds commands by name and summary; one is loaded when it is to be run or to show its help. */
export function addCommands(parent: Command, list: CommandList): void {
  for (const [name, entry] of Object.entries(list)) {
    const command = parent.command(name).description(entry.summary);
    if (!('commands' in entry)) continue;
    addCommands(command, entry.commands);
    command.addHelpText('after', `\nExample:\n  emloc ${entry.example}`);
  }
  addHelp(parent);
  parent.hook('preSubcommand', async (_parent, command) => {
    const entry = list[command.name()];
    if (entry === undefined || 'commands' in entry) return;
    const [{ command: defined }, { attachCommand }] = await Promise.all([
      entry.load(),
      import('./attach-command.js'),
    ]);
    attachCommand(command, defined, () => everyCommand(list));
  });
}

/** Loads all commands of a list and of its groups, in their order. */
export async function everyCommand(
  list: CommandList,
  above: readonly string[] = [],
): Promise<readonly NamedCommand[]> {
  const all: NamedCommand[] = [];
  for (const [name, entry] of Object.entries(list)) {
    const [path, { summary }] = [[...above, name], entry];
    if ('commands' in entry) {
      all.push({ path, summary, defined: null });
      all.push(...(await everyCommand(entry.commands, path)));
    } else all.push({ path, summary, defined: (await entry.load()).command });
  }
  return all;
}

/** commander's own would show a command that is not loaded. */
function addHelp(parent: Command): void {
  parent
    .command('help')
    .argument('[command...]')
    .description('show the help of a command')
    .action(async (names: readonly string[]) => {
      await parent.parseAsync([...names, '--help'], { from: 'user' });
    });
}
