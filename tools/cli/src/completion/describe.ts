import type { NamedCommand } from '../command/define-command.js';
import { withCommonFlags } from '../flags/common.js';

/** What may stand where a value is expected. */
export type Completed =
  | { readonly kind: 'choices'; readonly choices: readonly string[] }
  | { readonly kind: 'folders' | 'files' | 'anything' };

/** A flag; its value is null for a switch. */
interface CompletedFlag {
  /** `--model` */
  readonly long: string;
  readonly help: string;
  readonly value: Completed | null;
}

export interface CompletedCommand {
  /** `jobs list` */
  readonly path: string;
  readonly summary: string;
  /** Names of the commands below it. */
  readonly commands: readonly CompletedName[];
  readonly flags: readonly CompletedFlag[];
  /** What stands without a flag; null: nothing does. */
  readonly argument: Completed | null;
}

interface CompletedName {
  readonly name: string;
  readonly summary: string;
}

/** What shells can know of the commands; the first, with the empty path, is `emloc` itself. */
export function describeCommands(commands: readonly NamedCommand[]): readonly CompletedCommand[] {
  const root: NamedCommand = { path: [], summary: '', defined: null };
  return [root, ...commands].map(({ path, summary, defined }) => ({
    path: path.join(' '),
    summary,
    commands: commands
      .filter((each) => each.path.slice(0, -1).join(' ') === path.join(' '))
      .map((each) => ({ name: each.path.slice(path.length).join(' '), summary: each.summary })),
    flags: defined ? flagsOf(defined.flags) : [],
    argument: defined?.argument ? argumentOf(defined.argument) : null,
  }));
}

type Options = ReturnType<typeof withCommonFlags>;

function flagsOf(options: Options): readonly CompletedFlag[] {
  const shown = withCommonFlags(options).filter(({ hidden }) => !hidden);
  const flags = shown.map(({ flags: text, long, description, argChoices, required, optional }) => ({
    long: long ?? text,
    help: description,
    value: required || optional ? valueOf(text, argChoices) : null,
  }));
  return [...flags, { long: '--help', help: 'display help for command', value: null }];
}

/** @param text a flag with its placeholder, or the name of an argument */
function valueOf(text: string, choices: readonly string[] = []): Completed {
  if (choices.length > 0) return { kind: 'choices', choices };
  const [, placeholder = ''] = /[<[](.*)[>\]]/.exec(text) ?? [];
  if (/\b(file|path)\b/.test(placeholder)) return { kind: 'files' };
  return { kind: /\bdir\b/.test(placeholder) ? 'folders' : 'anything' };
}

/** The words of an argument's help are its choices where it names a shell. */
function argumentOf({ name, help }: { readonly name: string; readonly help: string }): Completed {
  return name === '<shell>' ? valueOf(name, help.split(', ')) : valueOf(name);
}
