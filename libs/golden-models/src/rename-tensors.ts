import { Buffer } from 'node:buffer';

/** Bytes of the number before a safetensors header: its length. */
const lengthBytes = 8;

/** A safetensors file with the same values under other names. */
export function renameTensors(file: Uint8Array, rename: (name: string) => string): Uint8Array {
  const bytes = Buffer.from(file);
  const end = lengthBytes + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString('utf8', lengthBytes, end)) as Record<string, unknown>;
  const renamed = Object.entries(header).map(([name, entry]) => [
    name === '__metadata__' ? name : rename(name),
    entry,
  ]);
  const text = Buffer.from(JSON.stringify(Object.fromEntries(renamed)));
  // The values begin at a multiple of eight.
  const padded = Buffer.alloc(Math.ceil(text.length / 8) * 8, ' ');
  text.copy(padded);
  const length = Buffer.alloc(lengthBytes);
  length.writeBigUInt64LE(BigInt(padded.length));
  return Buffer.concat([length, padded, bytes.subarray(end)]);
}
