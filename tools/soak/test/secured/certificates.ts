import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TlsOptions } from '@emloc/rpc';

/** PEM files of a certificate and its key. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** Signs certificates for this machine's loopback. */
export interface Authority {
  /** PEM file of its own certificate. */
  readonly file: string;
  /** @param name common name, and a DNS name besides localhost and 127.0.0.1 */
  issue(name: string): CertificateFiles;
  /** What a client has that shows the certificate of this name, or none, and trusts the authority in `file`. */
  client(name: string | null, trusted?: string): TlsOptions;
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** Makes an authority, and all that it issues, in a folder of its own. */
export function makeAuthority(folder: string): Authority {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const own = filesIn(folder, 'authority');
  openssl('req', '-x509', ...newKey, '-days', '2', '-keyout', own.key, '-out', own.cert, '-subj', '/CN=authority');
  const issued = new Map<string, CertificateFiles>();
  const issue = (name: string): CertificateFiles => {
    const files = issued.get(name) ?? signed(own, folder, name);
    issued.set(name, files);
    return files;
  };
  return {
    file: own.cert,
    issue,
    client: (name, trusted = own.cert) => ({ ca: readFileSync(trusted), identity: name === null ? null : identityOf(issue(name)) }),
  };
}

function signed(authority: CertificateFiles, folder: string, name: string): CertificateFiles {
  const [files, request, extensions] = [filesIn(folder, name), join(folder, `${name}.csr`), join(folder, `${name}.ext`)];
  writeFileSync(extensions, `subjectAltName=DNS:${name},DNS:localhost,IP:127.0.0.1\n`);
  openssl('req', ...newKey, '-keyout', files.key, '-out', request, '-subj', `/CN=${name}`);
  openssl('x509', '-req', '-in', request, '-CA', authority.cert, '-CAkey', authority.key, '-CAcreateserial', '-days', '2', '-out', files.cert, '-extfile', extensions);
  return files;
}

function filesIn(folder: string, name: string): CertificateFiles {
  return { cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
}

function identityOf({ cert, key }: CertificateFiles): NonNullable<TlsOptions['identity']> {
  return { certificate: readFileSync(cert), key: readFileSync(key) };
}

function openssl(...args: string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`openssl ${args[0]} ended with ${status}: ${stderr}`);
}
