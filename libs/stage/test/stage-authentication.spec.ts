import { readFileSync } from 'node:fs';
import { compileOptions, type ServiceTls } from '@emloc/service';

import { stageAuthentication } from '../src/service/stage-authentication.js';
import { stageOptions } from '../src/service/stage-options.js';

const ca = readFileSync(new URL('../../rpc/test/certificates/authority.pem', import.meta.url));
const identity = { certificate: ca, key: ca };
const plain: ServiceTls = { server: null, client: null };
const mutual: ServiceTls = { server: { ca, identity }, client: null };
const oneSided: ServiceTls = { server: { ca: null, identity }, client: null };

const setupOf = (tls: ServiceTls, env: Record<string, string> = {}) =>
  stageAuthentication(compileOptions(stageOptions, { args: [], env, envPrefix: 'EMLOC' }), tls);
const withToken = { EMLOC_STAGE_TOKEN: 'a-token-of-stages' };

function answer(
  tls: ServiceTls,
  env: Record<string, string>,
  caller: { authorization?: string; names?: string[] },
): string {
  try {
    void setupOf(tls, env).authenticate({
      authorization: caller.authorization ?? null,
      certificateNames: caller.names ?? [],
    });
    return 'accepted';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

test.each([
  ["the coordinator's certificate", mutual, {}, { names: ['coordinator'] }, 'accepted'],
  [
    'a certificate of another name',
    mutual,
    {},
    { names: ['trainer', 'localhost'] },
    'PERMISSION_DENIED',
  ],
  ['no certificate', mutual, {}, {}, 'UNAUTHENTICATED'],
  [
    'a token in place of the certificate',
    mutual,
    withToken,
    { authorization: 'Bearer a-token-of-stages' },
    'UNAUTHENTICATED',
  ],
  [
    'a name that the options give',
    mutual,
    { EMLOC_COORDINATOR_NAMES: 'a,b' },
    { names: ['b'] },
    'accepted',
  ],
  [
    'the default name, where the options give others',
    mutual,
    { EMLOC_COORDINATOR_NAMES: 'a,b' },
    { names: ['coordinator'] },
    'PERMISSION_DENIED',
  ],
  ['the token', plain, withToken, { authorization: 'Bearer a-token-of-stages' }, 'accepted'],
  [
    'the token, over TLS without client certificates',
    oneSided,
    withToken,
    { authorization: 'Bearer a-token-of-stages' },
    'accepted',
  ],
  ['another token', plain, withToken, { authorization: 'Bearer another-token' }, 'UNAUTHENTICATED'],
  ['no token', plain, withToken, {}, 'UNAUTHENTICATED'],
  ['nothing, where nothing is asked for', plain, {}, {}, 'accepted'],
])('a caller with %s', (_caller, tls, env, caller, expected) => {
  expect(answer(tls, env, caller)).toBe(expected);
});

test('says what protects it: the listen rule refuses the rest on other hosts than loopback', () => {
  expect(setupOf(mutual)).toMatchObject({ authenticated: true, requireClientCertificate: true });
  expect(setupOf(plain, withToken)).toMatchObject({ authenticated: true });
  expect(setupOf(plain)).toMatchObject({ authenticated: false });
});
