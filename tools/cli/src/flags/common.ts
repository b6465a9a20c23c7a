import type { Option } from 'commander';

import { switchFlag, textFlag, toOptions } from '../command/flag.js';

/** Flags of every command. */
export const commonFlags = {
  config: textFlag('--config <file>', 'YAML file with the names of these flags as keys; flags win'),
  json: switchFlag('--json', 'one JSON document on stdout, everything else on stderr'),
};

/** A command's own flags, and those of every command. */
export function withCommonFlags(flags: readonly Option[]): readonly Option[] {
  return [...flags, ...toOptions(commonFlags)];
}
