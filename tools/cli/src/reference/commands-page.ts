import type { Option } from 'commander';

import type { DefinedCommand, NamedCommand } from '../command/define-command.js';
import { withCommonFlags } from '../flags/common.js';
import { cell, code, table } from './markdown.js';

/**
 * `docs/reference/commands.md`: what `--help` says of every command.
 * @param commands in the order of the help
 */
export function commandsPage(commands: readonly NamedCommand[]): string {
  return [
    '# Commands',
    '',
    'What `emloc COMMAND --help` says. Every command has `--json`, one document on stdout with everything else on stderr, and ends with one of the [exit codes](exit-codes.md); errors carry',
    'a [code](../errors.md). Made from `tools/cli/src/commands` by `UPDATE_DOCS=1 npm run jest -- tools/cli/src/reference`.',
    '',
    ...table(['command', 'what it does'], commands.map(linkOf)),
    '',
    ...commands.flatMap(({ path, summary, defined }) =>
      defined ? sectionOf(path.join(' '), summary, defined) : [],
    ),
  ].join('\n');
}

function linkOf({ path, summary, defined }: NamedCommand): string[] {
  const name = `emloc ${path.join(' ')}`;
  const link = defined ? `[${code(name)}](#${name.replaceAll(' ', '-')})` : code(name);
  return [link, cell(summary)];
}

function sectionOf(name: string, summary: string, defined: DefinedCommand): string[] {
  const { flags, notes, examples } = defined;
  const shown = withCommonFlags(flags).filter(({ hidden }) => !hidden);
  return [
    `## emloc ${name}`,
    '',
    `${cell(summary.charAt(0).toUpperCase() + summary.slice(1))}.`,
    '',
    '```sh',
    ...examples.map((example) => `emloc ${example}`),
    '```',
    '',
    ...(notes === '' ? [] : [cell(notes), '']),
    ...table(['', ''], [...argumentsOf(defined), ...shown.map((flag) => rowOf(flag, defined))]),
    '',
  ];
}

function argumentsOf({ argument, target }: DefinedCommand): string[][] {
  return [argument, target].flatMap((one) => (one ? [[code(one.name), cell(one.help)]] : []));
}

function rowOf(
  { flags, long, description, argChoices }: Option,
  defined: DefinedCommand,
): string[] {
  const isRequired = defined.required.some((each) => each.long === long);
  const choices = argChoices ? ` (${argChoices.map(code).join(', ')})` : '';
  return [code(flags), `${cell(description)}${choices}${isRequired ? '; has to be given' : ''}`];
}
