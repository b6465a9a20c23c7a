import { writeFileAtomic, type AtomicOptions } from '../atomic.js';

/** A value of a GGUF file's head. */
export type GgufValue =
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'float32'; readonly value: number }
  | { readonly type: 'uint32'; readonly value: number };

/** A float32 tensor, row-major. */
export interface GgufTensor {
  readonly name: string;
  /** Rows first, as everywhere here; the file has them last. */
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Numbers of ggml's docs/gguf.md. */
const version = 3;
const alignment = 32;
const float32Tensor = 0;
const valueTypes = { uint32: 4, float32: 6, string: 8 } as const;

/**
 * Writes a GGUF file, version 3 in little endian, whole or not at all. Equal contents give equal
 * bytes.
 */
export async function writeGguf(
  path: string,
  metadata: Readonly<Record<string, GgufValue>>,
  tensors: readonly GgufTensor[],
  options: AtomicOptions = {},
): Promise<void> {
  const entries = Object.entries(metadata);
  const parts: Uint8Array[] = [
    Buffer.from('GGUF', 'latin1'),
    uint32(version),
    uint64(tensors.length),
    uint64(entries.length),
    ...entries.flatMap(([key, value]) => [text(key), ...valueOf(value)]),
  ];
  let offset = 0;
  for (const { name, shape, values } of tensors) {
    parts.push(text(name), uint32(shape.length), ...[...shape].reverse().map(uint64));
    parts.push(uint32(float32Tensor), uint64(offset));
    offset += padded(values.byteLength);
  }
  const head = Buffer.concat(parts);
  await writeFileAtomic(
    path,
    Buffer.concat([
      head,
      zeros(padded(head.length) - head.length),
      ...tensors.flatMap(({ values }) => [
        littleEndian(values),
        zeros(padded(values.byteLength) - values.byteLength),
      ]),
    ]),
    options,
  );
}

function valueOf(given: GgufValue): Uint8Array[] {
  const type = uint32(valueTypes[given.type]);
  switch (given.type) {
    case 'string':
      return [type, text(given.value)];
    case 'uint32':
      return [type, uint32(given.value)];
    case 'float32':
      return [type, littleEndian(Float32Array.of(given.value))];
  }
}

function text(value: string): Uint8Array {
  const bytes = Buffer.from(value, 'utf8');
  return Buffer.concat([uint64(bytes.length), bytes]);
}

function uint32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function littleEndian(values: Float32Array): Uint8Array {
  const bytes = Buffer.alloc(values.byteLength);
  values.forEach((value, index) => bytes.writeFloatLE(value, 4 * index));
  return bytes;
}

function padded(bytes: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}

function zeros(count: number): Uint8Array {
  return new Uint8Array(count);
}
