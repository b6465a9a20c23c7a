import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

import { makeSecrets, type MakeSecretsOptions } from './make-secrets.js';

const folder = mkdtempSync(join(tmpdir(), 'emloc-secrets-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const make = (name: string, options: Partial<MakeSecretsOptions> = {}) =>
  makeSecrets({
    out: join(folder, name),
    namespace: 'emloc',
    tenants: [],
    certificates: null,
    ...options,
  });
const dataOf = (
  secrets: ReturnType<typeof makeSecrets>,
  name: string,
): Readonly<Record<string, string>> =>
  secrets.find(({ metadata }) => metadata.name === name)?.stringData ?? {};

test('what was made stays as it is, and another tenant is added', () => {
  const certificates = { days: 3, coordinatorNames: [] };
  const [first, second] = [
    make('kept', { tenants: ['a'], certificates }),
    make('kept', { tenants: ['b@c'], certificates }),
  ];
  const tokens = (secrets: typeof first) =>
    JSON.parse(dataOf(secrets, 'tenant-tokens')['tokens.json'] ?? '[]') as {
      tenant: string;
      sha256: string;
    }[];
  expect(tokens(first)).toEqual([
    { tenant: 'a', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown, expiresAt: null },
  ]);
  expect(tokens(second).map(({ tenant }) => tenant)).toEqual(['a', 'b@c']);
  expect(tokens(second)[0]).toEqual(tokens(first)[0]);
  const others = (secrets: typeof first) =>
    secrets.filter(({ metadata }) => metadata.name !== 'tenant-tokens');
  expect(others(second)).toEqual(others(first));
  expect(
    parseAllDocuments(readFileSync(join(folder, 'kept/secrets.yaml'), 'utf8')).map(
      (document) => document.toJS() as unknown,
    ),
  ).toEqual(second);
});

test('nobody else can read what is written', () => {
  make('modes', { tenants: ['a'], certificates: { days: 1, coordinatorNames: [] } });
  const entries = readdirSync(join(folder, 'modes'), { recursive: true, withFileTypes: true });
  const open = entries.filter(
    (entry) =>
      (statSync(join(entry.parentPath, entry.name)).mode & 0o077) !== 0 &&
      !entry.name.endsWith('.pem'),
  );
  expect(entries.length).toBeGreaterThan(20);
  expect(open.map(({ name }) => name)).toEqual([]);
});

test('passwords are such that nats-server takes them for texts', () => {
  const passwords = Object.values(dataOf(make('passwords'), 'nats-passwords'));
  expect(new Set(passwords).size).toBe(5);
  for (const password of passwords) expect(password).toMatch(/^[a-z][0-9a-f]{40,}$/);
});

test('certificates say what the manifests ask for, and the names that are added', () => {
  const secrets = make('certificates', {
    certificates: { days: 3, coordinatorNames: ['emloc.example.com'] },
  });
  const parsed = (name: string) => new X509Certificate(dataOf(secrets, name)['tls.crt'] ?? '');
  const authority = new X509Certificate(dataOf(secrets, 'coordinator-tls')['ca.crt'] ?? '');
  const coordinator = parsed('coordinator-tls');
  expect(coordinator.subject).toBe('CN=coordinator');
  for (const name of ['coordinator', 'coordinator.emloc.svc', 'localhost', 'emloc.example.com'])
    expect(coordinator.checkHost(name)).toBe(name);
  expect(coordinator.checkHost('trainer')).toBeUndefined();
  expect(coordinator.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  expect(parsed('nats-tls').keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  expect(coordinator.verify(authority.publicKey)).toBe(true);
  expect([authority.ca, coordinator.ca]).toEqual([true, false]);
  expect(Math.round((Date.parse(coordinator.validTo) - Date.now()) / 86_400_000)).toBe(3);
  expect(secrets.filter(({ type }) => type === 'kubernetes.io/tls')).toHaveLength(6);
});

test('without certificates there are none, and a tenant has a name', () => {
  expect(make('bare').map(({ metadata }) => metadata.name)).toEqual([
    'nats-passwords',
    'metrics-token',
    'tenant-tokens',
  ]);
  for (const tenant of ['', '..', '../a', 'a b'])
    expect(() => make('bare', { tenants: [tenant] })).toThrow(/tenant ".*": 1 to 100 letters/);
});
