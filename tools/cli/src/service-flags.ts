import { resolve } from 'node:path';
import type { ServiceName } from '@emloc/local-deployment';

import type { ServeValues } from './flags/serve.js';

/** Flags of `serve` that a service gets, in the service's own words. */
export function serviceFlags(service: ServiceName, values: ServeValues): string[] {
  return [
    ...given(values, { logLevel: '--log-level', modelHub: '--model-hub' }),
    ...(service === 'coordinator'
      ? coordinatorFlags(values)
      : given(values, { device: '--device', threads: '--threads' })),
  ];
}

function coordinatorFlags(values: ServeValues): string[] {
  return [
    '--model-roots',
    roots(values.modelRoot),
    '--data-roots',
    roots(values.dataRoot),
    ...given(values, {
      device: '--plan-device',
      threads: '--plan-threads',
      tokensFile: '--tokens-file',
      tlsCert: '--tls-cert',
      tlsKey: '--tls-key',
      tlsCa: '--tls-ca',
    }),
    ...(values.allowPlaintext ? ['--allow-plaintext'] : []),
    // The stages are on loopback and have a token of their own.
    '--no-stage-tls',
  ];
}

function roots(folders: readonly string[]): string {
  return (folders.length === 0 ? ['.'] : folders).map((folder) => resolve(folder)).join(',');
}

function given(
  values: ServeValues,
  flags: Readonly<Partial<Record<keyof ServeValues, string>>>,
): string[] {
  return Object.entries(flags).flatMap(([name, flag]) => {
    const value = values[name as keyof ServeValues];
    return value === undefined ? [] : [flag, String(value)];
  });
}
