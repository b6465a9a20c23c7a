import { JobService } from '@emloc/contracts';

import {
  assertListenAllowed,
  bearerTokens,
  certificateNames,
  clientCredentials,
  hashToken,
  isLoopback,
  serverCredentials,
  type Principal,
  type TlsOptions,
} from '../src/index.js';
import { closeAll, startServer, thrownBy, tlsOf } from './fixtures.js';

afterEach(closeAll);

const oneAttempt = { attempts: 1, initialDelayMs: 1, maxDelayMs: 1, factor: 1 };

describe('bearer tokens', () => {
  const tokens = [
    { tenant: 'a', sha256: hashToken('token-a'), expiresAtMs: null },
    { tenant: 'b', sha256: hashToken('token-b'), expiresAtMs: 1000 },
  ];

  async function principalOf(token: string | null, nowMs = 0): Promise<Principal> {
    const seen: Principal[] = [];
    const { channel } = await startServer(
      {
        getJob: (_, { principal }) => {
          seen.push(principal);
          return Promise.resolve({});
        },
      },
      { authenticate: bearerTokens(tokens, () => nowMs) },
    );
    await channel({ token }).client(JobService).getJob({});
    return seen[0] as Principal;
  }

  it('say whose call it is', async () => {
    expect(await principalOf('token-a')).toEqual({ kind: 'tenant', tenant: 'a' });
    expect(await principalOf('token-b', 999)).toEqual({ kind: 'tenant', tenant: 'b' });
  });

  it.each([
    ['none', null, 'TOKEN_MISSING'],
    ['an unknown one', 'token-c', 'TOKEN_INVALID'],
    ['a prefix of a good one', 'token-', 'TOKEN_INVALID'],
    ['an expired one', 'token-b', 'TOKEN_EXPIRED'],
  ])('refuse %s', async (_, token, reason) => {
    expect(await thrownBy(() => principalOf(token, 1000))).toMatchObject({
      code: 'UNAUTHENTICATED',
      reason,
    });
  });

  it('are not in the answer to a refused call', async () => {
    const error = await thrownBy(() => principalOf('very-secret'));
    expect(`${error.message}${JSON.stringify(error.metadata)}`).not.toContain('very-secret');
  });

  it('are refused as configuration when their hash is none', () => {
    expect(() => bearerTokens([{ tenant: 'a', sha256: 'abc', expiresAtMs: null }])).toThrow(
      '64 hexadecimal digits',
    );
  });
});

describe('TLS', () => {
  const handlers = { getJob: () => Promise.resolve({}) };
  const call = (channel: ReturnType<Awaited<ReturnType<typeof startServer>>['channel']>) =>
    channel.client(JobService).getJob({});
  const anonymous = (tls: TlsOptions): TlsOptions => ({ ...tls, identity: null });

  it('encrypts between a server and a client that knows its authority', async () => {
    const { channel } = await startServer(handlers, { tls: tlsOf('localhost') });
    await expect(
      call(channel({ credentials: clientCredentials(anonymous(tlsOf('localhost'))) })),
    ).resolves.toBeDefined();
  });

  it('keeps plain clients, and clients of another authority or name, away', async () => {
    const { channel } = await startServer(handlers, { tls: tlsOf('localhost') });
    expect((await thrownBy(() => call(channel({ retry: oneAttempt })))).code).toBe('UNAVAILABLE');
    const stranger = clientCredentials({
      ca: tlsOf('stranger').identity?.certificate ?? null,
      identity: null,
    });
    expect(
      (await thrownBy(() => call(channel({ credentials: stranger, retry: oneAttempt })))).code,
    ).toBe('UNAVAILABLE');
    const known = clientCredentials(anonymous(tlsOf('localhost')));
    expect(
      (
        await thrownBy(() =>
          call(channel({ credentials: known, serverName: 'elsewhere', retry: oneAttempt })),
        )
      ).code,
    ).toBe('UNAVAILABLE');
  });

  it('with client certificates lets the named client call and nobody else', async () => {
    const seen: Principal[] = [];
    const { channel } = await startServer(
      { getJob: (_, { principal }) => Promise.resolve(void seen.push(principal)).then(() => ({})) },
      { tls: tlsOf('localhost'), mutual: true, authenticate: certificateNames(['coordinator']) },
    );
    const as = (tls: TlsOptions) =>
      call(channel({ credentials: clientCredentials(tls), retry: oneAttempt }));
    await as(tlsOf('coordinator'));
    expect(seen).toEqual([{ kind: 'certificate', name: 'coordinator' }]);
    expect(await thrownBy(() => as(tlsOf('trainer')))).toMatchObject({
      code: 'PERMISSION_DENIED',
      reason: 'CERTIFICATE_NOT_ALLOWED',
    });
    expect(
      (await thrownBy(() => as({ ...tlsOf('stranger'), ca: tlsOf('localhost').ca }))).code,
    ).toBe('UNAVAILABLE');
    expect((await thrownBy(() => as(anonymous(tlsOf('localhost'))))).code).toBe('UNAVAILABLE');
    expect(seen).toHaveLength(1);
  });

  it('is refused as configuration when something is missing or no PEM', () => {
    const { ca } = tlsOf('localhost');
    expect(() => serverCredentials({ ca, identity: null })).toThrow('a certificate and a key');
    expect(() => serverCredentials(null, { requireClientCertificate: true })).toThrow('need TLS');
    expect(() =>
      serverCredentials({ ...tlsOf('localhost'), ca: null }, { requireClientCertificate: true }),
    ).toThrow('an authority');
    const bad = { ca, identity: { certificate: Buffer.from('x'), key: Buffer.from('x') } };
    expect(() => clientCredentials(bad)).toThrow('TLS:');
  });
});

describe('the listen rule', () => {
  const nothing = { authenticated: false, tls: false, allowPlaintext: false };

  it.each(['127.0.0.1', '127.8.8.8', '::1', 'localhost'])('lets anything listen on %s', (host) => {
    expect(isLoopback(host)).toBe(true);
    expect(() => assertListenAllowed(host, nothing)).not.toThrow();
  });

  it.each(['0.0.0.0', '::', '10.0.0.1', 'example.org', '127.0.0.1.example.org', ''])(
    'asks for authentication and TLS on %j',
    (host) => {
      expect(() => assertListenAllowed(host, nothing)).toThrow('without authentication');
      expect(() => assertListenAllowed(host, { ...nothing, authenticated: true })).toThrow(
        'without TLS',
      );
      expect(() =>
        assertListenAllowed(host, { ...nothing, authenticated: true, tls: true }),
      ).not.toThrow();
      expect(() =>
        assertListenAllowed(host, { ...nothing, authenticated: true, allowPlaintext: true }),
      ).not.toThrow();
    },
  );
});
