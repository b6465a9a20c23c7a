import {
  optionTable,
  type NamedOption,
  type OptionCommand,
  type OptionSpec,
} from '@emloc/pipeline';

import { helpOf } from '../flags/options.js';
import { cell, code, table } from './markdown.js';

const kinds: Readonly<Record<OptionSpec['kind'], string>> = Object.freeze({
  text: 'text',
  textFile: 'file of text',
  texts: 'text, repeatable',
  integer: 'whole number',
  number: 'number',
  size: 'bytes, or `16GiB`, `800MiB`',
  switch: '',
  choice: '',
  choiceOrNumber: 'number',
});

/** `docs/reference/options.md`: the table of options, of which the commands' flags are made. */
export function optionsPage(): string {
  const options = Object.entries<OptionSpec>(optionTable).map(([name, spec]) => ({
    name,
    ...spec,
  }));
  return [
    '# Options',
    '',
    'Every option of the commands that run a model, with its default. The flag without `--` is the key in a YAML file (`--config`). The last column is the name that options of',
    'jobs have in the [SDK](sdk.md); fields of the wire are in [`proto`](../../proto/README.md). Flags of single commands are among the [commands](commands.md).',
    'Made from `libs/pipeline/src/options` by `UPDATE_DOCS=1 npm run jest -- tools/cli/src/reference`.',
    '',
    ...table(['flag', 'what it says', 'takes', 'commands', 'in the SDK'], options.map(rowOf)),
    '',
  ].join('\n');
}

function rowOf(option: NamedOption): string[] {
  const { name, flag, field, commands } = option;
  return [
    code(flag),
    [cell(helpOf(option, null)), ...meanings(option)].join('; '),
    valuesOf(option),
    commands.join(' '),
    field === undefined ? '' : code(name),
  ];
}

/** What the option means to commands to which it means something of their own. */
function meanings(option: NamedOption): string[] {
  const own = Object.keys(option.helpIn ?? {}) as OptionCommand[];
  return own.map((command) => `${code(command)}: ${cell(helpOf(option, command))}`);
}

function valuesOf({ kind, choices = [] }: NamedOption): string {
  return [...choices.map(code), kinds[kind]].filter((text) => text !== '').join(', ');
}
