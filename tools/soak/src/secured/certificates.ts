import { readFileSync } from 'node:fs';
import { openAuthority, type CertificateFiles } from '@emloc/deployment';
import type { TlsOptions } from '@emloc/rpc';

/** Signs certificates for this machine's loopback. */
export interface LoopbackAuthority {
  /** PEM file of its own certificate. */
  readonly file: string;
  /** @param name common name, and a DNS name besides localhost and 127.0.0.1 */
  issue(name: string): CertificateFiles;
  /**
   * What a client has that shows the certificate of this name, or none, and trusts the authority in
   * `file`.
   */
  client(name: string | null, trusted?: string): TlsOptions;
}

const days = 2;

/** Makes an authority, and all that it issues, in a folder of its own. */
export function makeLoopbackAuthority(folder: string): LoopbackAuthority {
  const { file, issue: issueOf } = openAuthority(folder, { days });
  const issue = (name: string): CertificateFiles =>
    issueOf(name, {
      commonName: name,
      dnsNames: [name, 'localhost'],
      addresses: ['127.0.0.1'],
      usages: ['server auth', 'client auth'],
      days,
    });
  return {
    file,
    issue,
    client: (name, trusted = file) => ({
      ca: readFileSync(trusted),
      identity: name === null ? null : identityOf(issue(name)),
    }),
  };
}

function identityOf({ cert, key }: CertificateFiles): NonNullable<TlsOptions['identity']> {
  return { certificate: readFileSync(cert), key: readFileSync(key) };
}
