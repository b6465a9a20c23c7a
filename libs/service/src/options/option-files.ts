import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { ServiceError } from '../errors.js';

/** PEM texts of a certificate chain and its key. */
export interface Identity {
  readonly certificate: Buffer;
  readonly key: Buffer;
}

/** The contents of a file that an option names. @throws ServiceError OPTION_INVALID */
export function readOptionFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new ServiceError('OPTION_INVALID', `options: ${(cause as Error).message}`, { cause });
  }
}

/**
 * Certificates in PEM; the first of them is looked at.
 * @throws ServiceError OPTION_INVALID, which names the file and shows nothing of it
 */
export function readCertificates(path: string): Buffer {
  const pem = readOptionFile(path);
  parsed(path, 'certificate', () => new X509Certificate(pem));
  return pem;
}

/**
 * A certificate chain and the key of its first certificate.
 * @throws ServiceError OPTION_INVALID, which names the file and shows nothing of it
 */
export function readIdentity(certificatePath: string, keyPath: string): Identity {
  const [certificate, key] = [readCertificates(certificatePath), readOptionFile(keyPath)];
  const privateKey: KeyObject = parsed(keyPath, 'private key', () => createPrivateKey(key));
  if (new X509Certificate(certificate).checkPrivateKey(privateKey)) return { certificate, key };
  throw new ServiceError(
    'OPTION_INVALID',
    `options: ${keyPath} is not the key of ${certificatePath}`,
  );
}

/** OpenSSL's message says nothing of use, and the parsers' causes could hold a part of the text. */
function parsed<T>(path: string, what: string, parse: () => T): T {
  try {
    return parse();
  } catch {
    throw new ServiceError('OPTION_INVALID', `options: ${path} is no ${what} in PEM`);
  }
}
