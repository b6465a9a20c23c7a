import { adapterOptions } from './adapter-options.js';
import { courseOptions } from './course-options.js';
import { emulatorOptions } from './emulator-options.js';
import { inputOptions } from './input-options.js';
import type { OptionCommand, OptionSpec } from './kinds.js';
import { pictureOptions } from './picture-options.js';
import { runningOptions } from './running-options.js';
import { stepOptions } from './step-options.js';

/**
 * Every option of a job, of an evaluation, of a merge and of looking at data, in the order in which
 * help has them: what the command, its configuration file, the services and the engine know of it
 * comes from here. Sizes are bytes, lengths tokens, paths as the process sees them.
 */
export const optionTable = Object.freeze({
  ...inputOptions,
  ...adapterOptions,
  ...stepOptions,
  ...emulatorOptions,
  ...courseOptions,
  ...pictureOptions,
  ...runningOptions,
});

type Table = typeof optionTable;

type ValueOf<S> = S extends OptionSpec<infer T> ? T : never;

type CommandOf<S> = S extends { readonly commands: readonly (infer C)[] } ? C : never;

/** The options that a command takes, every one with a value. */
export type OptionsOf<C extends OptionCommand> = {
  readonly [K in keyof Table as C extends CommandOf<Table[K]> ? K : never]: ValueOf<Table[K]>;
};

/** An option with its name in the table. */
export interface NamedOption extends OptionSpec {
  readonly name: string;
}

/** The options that a command takes, in the order of the table. */
export function optionsFor(command: OptionCommand): readonly NamedOption[] {
  return Object.entries<OptionSpec>(optionTable)
    .filter(([, { commands }]) => commands.includes(command))
    .map(([name, spec]) => ({ name, ...spec }));
}
