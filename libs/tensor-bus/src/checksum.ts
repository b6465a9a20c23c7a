import { createGmac, gmacBytes } from '@emloc/service-kit';

/** Bytes of a checksum. */
export const checksumBytes = gmacBytes;

/** GMAC of a header and the data after it, against accidents, not attackers. */
export function checksum(header: Uint8Array, data: Uint8Array): Buffer {
  return createGmac().update(header).update(data).digest();
}
