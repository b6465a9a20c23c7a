import { defineCommand } from '../command/define-command.js';
import { bashCompletion } from '../completion/bash.js';
import { describeCommands, type CompletedCommand } from '../completion/describe.js';
import { fishCompletion } from '../completion/fish.js';
import { zshCompletion } from '../completion/zsh.js';
import { UsageError } from '../usage-error.js';

const shells: Readonly<Record<string, (commands: readonly CompletedCommand[]) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

export const command = defineCommand({
  argument: { name: '<shell>', help: Object.keys(shells).join(', ') },
  flags: {},
  notes:
    'Printed for a shell to read: "source <(emloc completion bash)" in ~/.bashrc, "source <(emloc completion zsh)" in ~/.zshrc, "emloc completion fish | source" in config.fish.',
  examples: ['completion bash'],
  run: async ({ argument: shell, everyCommand }) => {
    const script = Object.hasOwn(shells, shell) ? shells[shell] : undefined;
    if (!script)
      throw new UsageError(
        `${shell.slice(0, 100)}: one of ${Object.keys(shells).join(', ')} expected`,
      );
    const text = script(describeCommands(await everyCommand())).trimEnd();
    return { document: { shell, script: text }, text };
  },
});
