import { createCipheriv, createHash } from 'node:crypto';

/**
 * How an object's bytes are checked. SHA-256 is what every client of NATS object stores knows. GMAC
 * (AES-128-GCM with nothing to encrypt, under a fixed public key) is against accidents only and
 * three times as fast: 5.5 GB/s on one core where SHA-256 does 1.5 to 1.8.
 */
export type DigestAlgorithm = 'SHA-256' | 'GMAC';

export interface Digest {
  update(bytes: Uint8Array): Digest;
  digest(): Buffer;
}

/** Bytes of a GMAC. */
export const gmacBytes = 16;

const key = Buffer.from('emloc tensor bus', 'latin1');
const nonce = Buffer.alloc(12);

export function createGmac(): Digest {
  const mac = createCipheriv('aes-128-gcm', key, nonce);
  const gmac: Digest = {
    update: (bytes) => {
      mac.setAAD(bytes);
      return gmac;
    },
    digest: () => {
      mac.final();
      return mac.getAuthTag();
    },
  };
  return gmac;
}

export function createDigest(algorithm: DigestAlgorithm): Digest {
  return algorithm === 'GMAC' ? createGmac() : createHash('sha256');
}

/** A digest as object stores write it: the algorithm, `=` and padded base64url. */
export function digestText(algorithm: DigestAlgorithm, digest: Buffer): string {
  const text = digest.toString('base64url');
  return `${algorithm}=${text.padEnd(Math.ceil(text.length / 4) * 4, '=')}`;
}

/** Algorithm of a digest's text; undefined: unknown. */
export function algorithmOf(text: string): DigestAlgorithm | undefined {
  return (['SHA-256', 'GMAC'] as const).find((algorithm) => text.startsWith(`${algorithm}=`));
}
