import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { serviceNames } from '@emloc/local-deployment';
import { randomSecret } from '@emloc/nats';
import { stringify } from 'yaml';

import { openAuthority } from '../certificates/authority.js';
import { manifestCertificates } from '../certificates/manifest-certificates.js';
import { openSecretFolder, type SecretFolder } from './secret-folder.js';

export interface MakeSecretsOptions {
  /** Holds every secret, and is made when it is missing. What it has is kept. */
  readonly out: string;
  readonly namespace: string;
  /** Each gets a token. */
  readonly tenants: readonly string[];
  /** Null: somebody else makes the certificates, such as cert-manager. */
  readonly certificates: {
    readonly days: number;
    readonly coordinatorNames: readonly string[];
  } | null;
}

/** A Secret's object, as the API knows it. */
export interface SecretManifest {
  readonly apiVersion: 'v1';
  readonly kind: 'Secret';
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly type: string;
  readonly stringData: Readonly<Record<string, string>>;
}

const tenantName = /^\w[\w.@-]{0,99}$/;
/** Authorities outlive what they sign. */
const authorityDays = 3650;

/**
 * Makes the Secrets that the manifests mount, and writes them to `secrets.yaml` in the folder;
 * `tenants/NAME` is the token to be handed over.
 * @throws Error for a tenant's name that is none
 */
export function makeSecrets({
  out,
  namespace,
  tenants,
  certificates,
}: MakeSecretsOptions): readonly SecretManifest[] {
  const invalid = tenants.find((tenant) => !tenantName.test(tenant));
  if (invalid !== undefined)
    throw new Error(
      `tenant ${JSON.stringify(invalid)}: 1 to 100 letters, digits and _ . @ - are expected`,
    );
  const folder = openSecretFolder(out);
  const secrets: readonly SecretManifest[] = [
    natsPasswords(folder),
    metricsToken(folder),
    tenantTokens(folder, tenants),
    ...(certificates ? tlsSecrets(folder, certificates) : []),
  ].map(({ name, type = 'Opaque', data }) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace },
    type,
    stringData: data,
  }));
  folder.write('secrets.yaml', secrets.map((secret) => stringify(secret)).join('---\n'));
  return secrets;
}

interface SecretContent {
  readonly name: string;
  readonly type?: string;
  readonly data: Readonly<Record<string, string>>;
}

/**
 * They begin with a letter: the server reads them as it reads its configuration, where digits begin
 * a number.
 */
function natsPasswords(folder: SecretFolder): SecretContent {
  const password = (): string => `p${randomBytes(24).toString('hex')}`;
  return {
    name: 'nats-passwords',
    data: Object.fromEntries(
      serviceNames.map((service) => [service, folder.keep(`nats-passwords/${service}`, password)]),
    ),
  };
}

function metricsToken(folder: SecretFolder): SecretContent {
  return { name: 'metrics-token', data: { token: folder.keep('metrics-token', randomSecret) } };
}

/** The coordinator knows tokens by their hashes. */
function tenantTokens(folder: SecretFolder, tenants: readonly string[]): SecretContent {
  for (const tenant of tenants) folder.keep(`tenants/${tenant}`, randomSecret);
  const hashes = folder.list('tenants').map((tenant) => {
    const token = folder.keep(`tenants/${tenant}`, randomSecret).trim();
    return { tenant, sha256: createHash('sha256').update(token).digest('hex'), expiresAt: null };
  });
  return { name: 'tenant-tokens', data: { 'tokens.json': `${JSON.stringify(hashes, null, 1)}\n` } };
}

function tlsSecrets(
  folder: SecretFolder,
  {
    days,
    coordinatorNames,
  }: { readonly days: number; readonly coordinatorNames: readonly string[] },
): SecretContent[] {
  const authority = openAuthority(join(folder.path, 'certificates'), { days: authorityDays });
  return manifestCertificates().map(({ name, secretName, ...request }) => {
    const dnsNames =
      name === 'coordinator'
        ? [...new Set([...request.dnsNames, ...coordinatorNames])]
        : request.dnsNames;
    const { cert, key } = authority.issue(name, { ...request, dnsNames, days });
    const text = (file: string): string => readFileSync(file, 'utf8');
    return {
      name: secretName,
      type: 'kubernetes.io/tls',
      data: { 'tls.crt': text(cert), 'tls.key': text(key), 'ca.crt': text(authority.file) },
    };
  });
}
