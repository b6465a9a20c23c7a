import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** PEM files of a certificate and its key. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

export type CertificateUsage = 'server auth' | 'client auth';

/** What a certificate says. */
export interface CertificateRequest {
  readonly commonName: string;
  readonly dnsNames: readonly string[];
  readonly addresses?: readonly string[];
  readonly usages: readonly CertificateUsage[];
  readonly days: number;
}

/** Signs certificates, by OpenSSL's command. */
export interface Authority {
  /** PEM file of its own certificate. */
  readonly file: string;
  /**
   * Issues a certificate in the authority's folder, or finds the one that it has issued under this
   * name.
   */
  issue(name: string, request: CertificateRequest): CertificateFiles;
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const extendedUsages: Readonly<Record<CertificateUsage, string>> = {
  'server auth': 'serverAuth',
  'client auth': 'clientAuth',
};

/** The authority of a folder (mode 700), made when there is none. */
export function openAuthority(folder: string, { days }: { readonly days: number }): Authority {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const own = filesIn(folder, 'authority');
  if (!existsSync(own.cert))
    openssl(
      'req',
      '-x509',
      ...newKey,
      '-days',
      String(days),
      '-keyout',
      own.key,
      '-out',
      own.cert,
      '-subj',
      '/CN=emloc',
    );
  return {
    file: own.cert,
    issue: (name, request) => {
      const files = filesIn(folder, name);
      if (!existsSync(files.cert)) sign(own, files, { folder, request });
      return files;
    },
  };
}

function sign(
  authority: CertificateFiles,
  files: CertificateFiles,
  { folder, request }: { readonly folder: string; readonly request: CertificateRequest },
): void {
  const work = mkdtempSync(join(folder, 'request-'));
  try {
    const [csr, extensions] = [join(work, 'csr'), join(work, 'extensions')];
    writeFileSync(extensions, extensionsOf(request));
    openssl(
      'req',
      ...newKey,
      '-keyout',
      files.key,
      '-out',
      csr,
      '-subj',
      `/CN=${request.commonName}`,
    );
    openssl(
      'x509',
      '-req',
      '-in',
      csr,
      '-CA',
      authority.cert,
      '-CAkey',
      authority.key,
      '-CAcreateserial',
      '-CAserial',
      join(work, 'serial'),
      '-days',
      String(request.days),
      '-out',
      files.cert,
      '-extfile',
      extensions,
    );
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function extensionsOf({ dnsNames, addresses = [], usages }: CertificateRequest): string {
  const names = [
    ...dnsNames.map((name) => `DNS:${name}`),
    ...addresses.map((address) => `IP:${address}`),
  ];
  return `subjectAltName=${names.join(',')}\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=${usages.map((usage) => extendedUsages[usage]).join(',')}\n`;
}

function filesIn(folder: string, name: string): CertificateFiles {
  return { cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
}

function openssl(...args: string[]): void {
  const { status, stderr, error } = spawnSync('openssl', args, { encoding: 'utf8' });
  if (error)
    throw new Error(
      `openssl cannot be run, on Debian or Ubuntu: apt-get install openssl: ${error.message}`,
      { cause: error },
    );
  if (status !== 0) throw new Error(`openssl ${args[0]} ended with ${status}: ${stderr}`);
}
