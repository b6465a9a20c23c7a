import type { Completed, CompletedCommand } from './describe.js';

/** A script that fish reads: a line for each command and flag. */
export function fishCompletion(commands: readonly CompletedCommand[]): string {
  return `# emloc: completion for fish
function __emloc_in -d 'the words so far are these'
    set -l words (commandline -opc)
    set -e words[1]
    test "$words" = "$argv"
end
function __emloc_at -d 'the words so far begin with these'
    set -l words (commandline -opc)
    set -e words[1]
    set -l count (count $argv)
    test (count $words) -ge $count; and test "$words[1..$count]" = "$argv"
end
complete -c emloc -f
${commands.flatMap(linesOf).join('\n')}
`;
}

function linesOf({ path, commands, flags, argument }: CompletedCommand): string[] {
  const at = quoted(`__emloc_at ${path}`);
  return [
    ...commands.map(
      ({ name, summary }) =>
        `complete -c emloc -n ${quoted(`__emloc_in ${path}`)} -a ${name} -d ${quoted(summary)}`,
    ),
    ...flags.map(
      ({ long, help, value }) =>
        `complete -c emloc -n ${at} -l ${long.slice(2)}${value ? ` ${valueOf(value)}` : ''} -d ${quoted(help)}`,
    ),
    ...(argument === null ? [] : [`complete -c emloc -n ${at} ${argumentsOf(argument)}`]),
  ];
}

function valueOf(value: Completed): string {
  switch (value.kind) {
    case 'choices':
      return `-x -a ${quoted(value.choices.join(' '))}`;
    case 'folders':
      return "-x -a '(__fish_complete_directories)'";
    case 'files':
      return '-r -F';
    case 'anything':
      return '-x';
  }
}

function argumentsOf(value: Completed): string {
  return value.kind === 'files' ? '-F' : valueOf(value).replace(/^-x ?/, '');
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
