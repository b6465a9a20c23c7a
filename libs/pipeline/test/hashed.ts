import { createHash } from 'node:crypto';

/** A value with hashes in place of its arrays' bytes: large ones are slow to compare. */
export function hashed(value: unknown): unknown {
  const text = JSON.stringify(value, (_key, part: unknown) => {
    if (!ArrayBuffer.isView(part)) return part;
    return [
      part.constructor.name,
      createHash('sha256')
        .update(new Uint8Array(part.buffer, part.byteOffset, part.byteLength))
        .digest('hex'),
    ];
  });
  return JSON.parse(text) as unknown;
}
