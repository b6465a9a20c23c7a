import type { Completed, CompletedCommand } from './describe.js';

/** A script that zsh reads, or finds as `_emloc` in its `fpath`: a function for each command. */
export function zshCompletion(commands: readonly CompletedCommand[]): string {
  return `#compdef emloc
# emloc: completion for zsh
${commands.map(functionOf).join('\n')}
if [[ $funcstack[1] == _emloc ]]; then _emloc "$@"; else compdef _emloc emloc; fi
`;
}

function functionOf(command: CompletedCommand): string {
  const body = command.commands.length > 0 ? group(command) : single(command);
  return `${nameOf(command.path)}() {\n${body}\n}`;
}

function group({ path, commands }: CompletedCommand): string {
  const described = commands.map(({ name, summary }) => quoted(`${name}:${summary}`));
  const cases = commands.map(({ name }) => `      ${name}) ${nameOf(`${path} ${name}`)} ;;`);
  return `  local state line
  local -a commands
  _arguments -C '1: :->command' '*:: :->rest'
  case $state in
    command)
      commands=(${described.join(' ')})
      _describe command commands ;;
    rest)
      case $line[1] in
${cases.join('\n')}
      esac ;;
  esac`;
}

function single({ flags, argument }: CompletedCommand): string {
  const specs = flags.map(({ long, help, value }) => {
    const told = `*${long}[${help.replace(/[[\]\\:]/g, '\\$&')}]`;
    return quoted(value === null ? told : `${told}:value:${action(value)}`);
  });
  if (argument !== null) specs.push(quoted(`1:argument:${action(argument)}`));
  return `  _arguments \\\n    ${specs.join(' \\\n    ')}`;
}

function action(value: Completed): string {
  switch (value.kind) {
    case 'choices':
      return `(${value.choices.join(' ')})`;
    case 'folders':
      return '_files -/';
    case 'files':
      return '_files';
    case 'anything':
      return ' ';
  }
}

function nameOf(path: string): string {
  return ['_emloc', ...path.split(' ')].filter((word) => word !== '').join('_');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
