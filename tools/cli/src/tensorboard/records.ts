import { crc32c } from './crc32c.js';

/** A checksum as TFRecord files have it: of data that may hold checksums themselves. */
function maskedCrc32c(bytes: Uint8Array): number {
  const value = crc32c(bytes);
  return (((value >>> 15) | (value << 17)) + 0xa282ead8) >>> 0;
}

/**
 * A record of a TFRecord file: length (uint64), its masked CRC, the data, their masked CRC; all
 * little-endian.
 */
export function recordOf(data: Uint8Array): Uint8Array {
  const record = new Uint8Array(data.length + 16);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc32c(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc32c(data), true);
  return record;
}
