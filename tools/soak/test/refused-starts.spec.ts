import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serviceNames, type ServiceName } from '@emloc/local-deployment';

import { metricsToken, startSecuredNats, type SecuredNats } from './secured/deployment.js';
import { marker } from './secured/marker.js';
import { startService } from './secured/service-processes.js';

let nats: SecuredNats;
beforeAll(async () => {
  nats = await startSecuredNats();
});
afterAll(() => nats?.stop());

const wrongPassword = marker('wrong-password');

/** Flags of a service, without those of these names. */
function args(
  service: ServiceName,
  without: readonly string[] = [],
  more: readonly string[] = [],
): string[] {
  const all = nats.args(service);
  return [
    ...all.filter(
      (arg, index) => !without.includes(arg) && !without.includes(all[index - 1] ?? ''),
    ),
    ...more,
  ];
}

/** With another value of one flag. */
function argsWith(service: ServiceName, flag: string, value: string): string[] {
  return args(service, [flag], [flag, value]);
}

/** The texts that nothing may say: passwords, tokens, and the body of the service's key. */
function secretsOf(service: ServiceName): string[] {
  const key = readFileSync(nats.authority.issue(service).key, 'utf8').split('\n')[1] ?? '';
  return [nats.users.get(service)?.password ?? '', wrongPassword, metricsToken, key];
}

/** Starts a service that has to end by itself. */
async function refused(
  service: ServiceName,
  flags: readonly string[],
  env = nats.env(service),
): Promise<{ code: number | null; output: string }> {
  const { ended, output } = startService(service, { args: flags, env });
  const code = await ended;
  expect(secretsOf(service).filter((secret) => secret === '' || output().includes(secret))).toEqual(
    [],
  );
  expect(output()).not.toContain('"msg":"listening"');
  return { code, output: output() };
}

/** How it has to end: with the status of wrong usage, and these words. */
function saying(...words: RegExp[]): unknown[] {
  return words.map((output) => ({ code: 2, output: expect.stringMatching(output) }));
}

test('a service that NATS refuses, or that cannot trust it, says which and ends', async () => {
  const [ca, identity] = [['--nats-ca'], ['--nats-cert', '--nats-key']];
  const wrong = { EMLOC_NATS_PASSWORD: wrongPassword };
  const found = await Promise.all([
    refused('trainer', args('trainer'), { ...nats.env('trainer'), ...wrong }),
    refused('coordinator', args('coordinator'), { ...nats.env('coordinator'), ...wrong }),
    refused('trainer', args('trainer', ca)),
    refused('corrector', args('corrector', identity)),
    refused('calibrator', args('calibrator', [...ca, ...identity])),
  ]);
  expect(found).toEqual(
    saying(
      /refused the credentials/,
      /refused the credentials/,
      /unable to verify/,
      /bad certificate|certificate required/,
      /requires TLS/,
    ),
  );
});

test('files that cannot be used are named, and nothing of them is shown', async () => {
  const [broken, text] = [join(nats.folder, 'broken.pem'), marker('broken')];
  writeFileSync(broken, `${text}\n`);
  const others = nats.authority.issue('another').key;
  const found = await Promise.all([
    refused('trainer', args('trainer'), {}),
    refused('trainer', argsWith('trainer', '--nats-ca', '/nowhere/ca.pem')),
    refused('trainer', argsWith('trainer', '--tls-ca', broken)),
    refused('trainer', argsWith('trainer', '--nats-key', broken)),
    refused('trainer', argsWith('trainer', '--tls-key', others)),
  ]);
  expect(found).toEqual(
    saying(
      /EMLOC_NATS_PASSWORD/,
      /\/nowhere\/ca\.pem/,
      /broken\.pem is no certificate/,
      /broken\.pem is no private key/,
      /another\.key is not the key of/,
    ),
  );
  expect(found.filter(({ output }) => output.includes(text))).toEqual([]);
});

test('no service listens where others reach it without authentication', async () => {
  const open = ['--host', '0.0.0.0', '--metrics-host', '127.0.0.1'];
  const found = await Promise.all(
    serviceNames.map((service) => refused(service, args(service, ['--tls-ca'], open))),
  );
  expect(found).toEqual(
    saying(...serviceNames.map(() => /will not listen on 0\.0\.0\.0 without authentication/)),
  );
});

test('pages of metrics and probes follow the same rule, and authentication alone is not enough', async () => {
  const { EMLOC_METRICS_TOKEN: _, ...withoutToken } = nats.env('trainer');
  const found = await Promise.all([
    refused('trainer', args('trainer', [], ['--metrics-host', '0.0.0.0']), withoutToken),
    refused(
      'trainer',
      args('trainer', ['--tls-cert', '--tls-key', '--tls-ca'], ['--host', '0.0.0.0']),
      { ...nats.env('trainer'), EMLOC_STAGE_TOKEN: marker('stage-token') },
    ),
  ]);
  expect(found).toEqual(saying(/without authentication/, /without TLS/));
});
