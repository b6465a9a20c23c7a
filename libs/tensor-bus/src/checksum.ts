import { createCipheriv } from 'node:crypto';

const key = Buffer.from('emloc tensor bus', 'latin1');
const nonce = Buffer.alloc(12);

/** Bytes of a checksum. */
export const checksumBytes = 16;

/**
 * GMAC (AES-128-GCM with nothing to encrypt) under a fixed public key, used as a checksum against accidents, not attackers.
 * The processor has instructions for it: 5.5 GB/s on one core where `zlib.crc32` does 2.7 to 3.4 and SHA-256 1.5.
 */
export function checksum(header: Uint8Array, data: Uint8Array): Buffer {
  const mac = createCipheriv('aes-128-gcm', key, nonce);
  mac.setAAD(header);
  mac.setAAD(data);
  mac.final();
  return mac.getAuthTag();
}
