import type { Completed, CompletedCommand } from './describe.js';

/** A script that bash reads: `complete` with a function of the tables below. */
export function bashCompletion(commands: readonly CompletedCommand[]): string {
  const paths = commands.map(({ path }) => quoted(path)).filter((path) => path !== "''");
  const values = commands.flatMap(({ path, flags }) =>
    flags.flatMap(({ long, value }) =>
      value === null ? [] : [`    ${quoted(`${path} ${long}`)}) ${reply(value)}; return ;;`],
    ),
  );
  const words = commands.map((command) => `    ${quoted(command.path)}) ${wordsOf(command)} ;;`);
  return `# emloc: completion for bash
_emloc() {
  local current=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} path='' word i
  COMPREPLY=()
  # bash takes --flag=value for three words.
  if [[ $current == = ]]; then current=''
  elif [[ $before == = ]]; then before=\${COMP_WORDS[COMP_CWORD-2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${path:+$path }\${COMP_WORDS[i]}"
    case $word in
    ${paths.join(' | ')}) path=$word ;;
    *) break ;;
    esac
  done
  case "$path $before" in
${values.join('\n')}
  esac
  case $path in
${words.join('\n')}
  esac
}
complete -F _emloc emloc
`;
}

function wordsOf({ commands, flags, argument }: CompletedCommand): string {
  const names = commands.map(({ name }) => name);
  const longs = flags.map(({ long }) => long);
  const all = reply({ kind: 'choices', choices: [...names, ...longs] });
  return argument === null || argument.kind === 'anything'
    ? all
    : `if [[ $current == -* ]]; then ${all}; else ${reply(argument)}; fi`;
}

function reply(value: Completed): string {
  switch (value.kind) {
    case 'choices':
      return `COMPREPLY=($(compgen -W ${quoted(value.choices.join(' '))} -- "$current"))`;
    case 'folders':
      return found('-d');
    case 'files':
      return found('-f');
    case 'anything':
      return ':';
  }
}

/** Names may have spaces: a line each. */
function found(kind: '-d' | '-f'): string {
  return `mapfile -t COMPREPLY < <(compgen ${kind} -- "$current"); compopt -o filenames 2>/dev/null`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
