import { bearerTokens, certificateNames, hashToken } from '@emloc/rpc';

import { connect, type ConnectOptions } from '../src/index.js';
import { clientOf, closeAll, start, thrownBy, tlsOf } from './fixtures.js';

afterEach(closeAll);

const authenticate = bearerTokens([
  { tenant: 'a', sha256: hashToken('token-a'), expiresAtMs: null },
]);
const authority = tlsOf('localhost').ca;
const once = { attempts: 1 };

describe('a token over TLS', () => {
  it('is accepted, from a client that knows the authority', async () => {
    const { address, service } = await start({ authenticate, tls: tlsOf('localhost') });
    const name = service.addJob();
    expect(
      (await clientOf(address, { token: 'token-a', tls: { ca: authority } }).getJob(name)).name,
    ).toBe(name);
    expect(
      (
        await clientOf(address, {
          token: 'token-a',
          tls: { ca: authority.toString('utf8') },
        }).getJob(name)
      ).name,
    ).toBe(name);
  });

  it('is sent to no server of another authority or name', async () => {
    const { address, service } = await start({ authenticate, tls: tlsOf('localhost') });
    for (const tls of [
      true,
      { ca: tlsOf('stranger').identity.certificate },
      { ca: authority, serverName: 'elsewhere' },
    ]) {
      expect(
        (
          await thrownBy(() =>
            clientOf(address, { token: 'token-a', tls, retry: once }).getJob('jobs/j1'),
          )
        ).code,
      ).toBe('UNAVAILABLE');
    }
    expect(service.counts).toEqual({});
  });

  it('that is wrong or missing is UNAUTHENTICATED, once, and in no message', async () => {
    const { address } = await start({ authenticate, tls: tlsOf('localhost') });
    const wrong = await thrownBy(() =>
      clientOf(address, { token: 'very-secret', tls: { ca: authority } }).getJob('jobs/j1'),
    );
    expect(wrong).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'TOKEN_INVALID' });
    expect(`${wrong.message}${String(wrong.cause)}`).not.toContain('very-secret');
    expect(
      (await thrownBy(() => clientOf(address, { tls: { ca: authority } }).getJob('jobs/j1')))
        .reason,
    ).toBe('TOKEN_MISSING');
  });
});

it('a client certificate is shown where the server asks for one', async () => {
  const { address, service } = await start({
    authenticate: certificateNames(['coordinator']),
    tls: tlsOf('localhost'),
    requireClientCertificate: true,
  });
  const name = service.addJob();
  const { certificate, key } = tlsOf('coordinator').identity;
  expect(
    (await clientOf(address, { tls: { ca: authority, certificate, key } }).getJob(name)).name,
  ).toBe(name);
  expect(
    (await thrownBy(() => clientOf(address, { tls: { ca: authority }, retry: once }).getJob(name)))
      .code,
  ).toBe('UNAVAILABLE');
});

it('the name in the certificate may be another than the address', async () => {
  const { address, service } = await start({ authenticate, tls: tlsOf('localhost') });
  const byNumber = address.replace('localhost', '127.0.0.1');
  const name = service.addJob();
  expect(
    (
      await clientOf(byNumber, {
        token: 'token-a',
        tls: { ca: authority, serverName: 'localhost' },
      }).getJob(name)
    ).name,
  ).toBe(name);
});

describe('connect', () => {
  it.each<[string, Partial<ConnectOptions>]>([
    ['an address without a port', { address: 'example.org' }],
    ['an address that is a URL', { address: 'http://example.org:1' }],
    ['a token in the clear to another machine', { address: 'example.org:7070', token: 'secret' }],
    ['a token with a line break', { token: 'sec\nret' }],
    ['an empty token', { token: '' }],
    ['a certificate without its key', { tls: { certificate: 'x' } }],
    ['a certificate that is none', { tls: { certificate: 'x', key: 'y' } }],
    ['no attempts', { retry: { attempts: 0 } }],
    ['a deadline of nothing', { timeoutMs: 0 }],
    ['patience that is no number', { patienceMs: Number.NaN }],
  ])('refuses %s', async (_, options) => {
    const error = await thrownBy(async () => connect({ address: '127.0.0.1:7070', ...options }));
    expect(error.code).toBe('SDK_OPTION_INVALID');
    expect(error.message).not.toContain('secret');
  });

  it.each<ConnectOptions>([
    { address: '[::1]:7070', token: 'secret' },
    { address: 'example.org:7070', token: 'secret', allowPlaintext: true },
    { address: 'example.org:7070', token: 'secret', tls: true },
    { address: 'example.org:7070' },
  ])('takes %j', (options) => {
    connect(options).close();
  });
});
