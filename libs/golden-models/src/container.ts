import { type Buffer } from 'node:buffer';
import { brotliDecompressSync } from 'node:zlib';

import { asFields, asNumber } from './fields.js';

/** The largest that a fixture unpacks to, in bytes. */
const maximumBytes = 2 ** 26;

/**
 * The files of a fixture, by name. The form is told in tools/goldens/pack.mjs, which makes them.
 * @throws Error for what is none
 */
export function unpack(packed: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const plain = brotliDecompressSync(packed, { maxOutputLength: maximumBytes });
  const headerBytes = plain.readUInt32LE();
  const header: unknown = JSON.parse(plain.toString('utf8', 4, 4 + headerBytes));
  if (!Array.isArray(header)) throw new Error('the header of a fixture is not a list');
  const files = new Map<string, Uint8Array>();
  let start = 4 + headerBytes;
  for (const entry of header) {
    const fields = asFields(entry, 'an entry of a fixture');
    const end = start + asNumber(fields.bytes, 'bytes');
    if (end > plain.length) throw new Error(`a fixture of ${plain.length} bytes, at least ${end}`);
    const valuesFrom = asNumber(fields.valuesFrom, 'valuesFrom');
    files.set(String(fields.name), fromPlanes(plain.subarray(start, end), valuesFrom));
    start = end;
  }
  return files;
}

/** The values of bf16, little endian, from the plane of exponents and that of the rest. */
function fromPlanes(data: Buffer, valuesFrom: number): Uint8Array {
  const values = Uint8Array.from(data);
  const count = (data.length - valuesFrom) / 2;
  for (let index = 0; index < count; index++) {
    const exponent = data.readUInt8(valuesFrom + index);
    const rest = data.readUInt8(valuesFrom + count + index);
    values[valuesFrom + 2 * index] = ((exponent & 1) << 7) | (rest & 0x7f);
    values[valuesFrom + 2 * index + 1] = (rest & 0x80) | (exponent >> 1);
  }
  return values;
}
