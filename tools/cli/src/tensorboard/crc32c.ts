import { at } from '@emloc/checked';

/** The polynomial 0x1EDC6F41 (Castagnoli), bits reversed. */
const polynomial = 0x82f63b78;

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = (value >>> 1) ^ (value & 1 ? polynomial : 0);
  return value;
});

/** CRC-32C of bytes, as RFC 3720 (appendix B.4) has it. */
export function crc32c(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = (value >>> 8) ^ at(table, (value ^ byte) & 0xff);
  return (value ^ 0xffffffff) >>> 0;
}
