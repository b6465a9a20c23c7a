import { switchFlag, textFlag } from '../command/flag.js';

/** Flags of every command. */
export const commonFlags = {
  config: textFlag('--config <file>', 'YAML file with the names of these flags as keys; flags win'),
  json: switchFlag('--json', 'one JSON document on stdout, everything else on stderr'),
};
