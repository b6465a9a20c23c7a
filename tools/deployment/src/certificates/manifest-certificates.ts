import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';

import type { CertificateRequest, CertificateUsage } from './authority.js';

/** A certificate that the manifests mount. */
export interface ManifestCertificate extends Omit<CertificateRequest, 'days'> {
  readonly name: string;
  /** Of the Secret that holds it. */
  readonly secretName: string;
}

interface CertificateObject {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly secretName: string;
    readonly commonName: string;
    readonly dnsNames: readonly string[];
    readonly usages: readonly CertificateUsage[];
  };
}

/** The certificates that cert-manager is asked for, which are those that are issued without it. */
export function manifestCertificates(): readonly ManifestCertificate[] {
  const text = readFileSync(
    new URL(
      '../../../../deploy/kubernetes/components/cert-manager/certificates.yaml',
      import.meta.url,
    ),
    'utf8',
  );
  return parseAllDocuments(text).map((document) => {
    const {
      metadata: { name },
      spec: { secretName, commonName, dnsNames, usages },
    } = document.toJS() as CertificateObject;
    return { name, secretName, commonName, dnsNames, usages };
  });
}
