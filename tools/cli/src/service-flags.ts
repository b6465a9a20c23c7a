import { resolve } from 'node:path';
import type { ServiceName } from '@emloc/local-deployment';

import type { FlagValues } from './flags.js';

/** Flags of `serve` that a service gets, in the service's own words. */
export function serviceFlags(service: ServiceName, values: FlagValues): string[] {
  return [
    ...given(values, { logLevel: '--log-level', modelHub: '--model-hub' }),
    ...(service === 'coordinator'
      ? coordinatorFlags(values)
      : given(values, { device: '--device', threads: '--threads' })),
  ];
}

function coordinatorFlags(values: FlagValues): string[] {
  return [
    '--model-roots',
    roots(values['modelRoot']),
    '--data-roots',
    roots(values['dataRoot']),
    ...given(values, {
      device: '--plan-device',
      threads: '--plan-threads',
      tokensFile: '--tokens-file',
      tlsCert: '--tls-cert',
      tlsKey: '--tls-key',
      tlsCa: '--tls-ca',
    }),
    ...(values['allowPlaintext'] === true ? ['--allow-plaintext'] : []),
    // The stages are on loopback and have a token of their own.
    '--no-stage-tls',
  ];
}

function roots(folders: unknown): string {
  return ((folders as readonly string[] | undefined) ?? ['.'])
    .map((folder) => resolve(folder))
    .join(',');
}

function given(values: FlagValues, flags: Readonly<Record<string, string>>): string[] {
  return Object.entries(flags).flatMap(([name, flag]) =>
    values[name] === undefined ? [] : [flag, String(values[name])],
  );
}
