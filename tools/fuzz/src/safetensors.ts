import { Buffer } from 'node:buffer';
import { readFile } from 'node:fs/promises';

/** A safetensors file: its header, parsed, and what follows it. */
export interface ParsedTensors {
  readonly header: unknown;
  readonly data: Buffer;
}

export async function readTensors(path: string): Promise<ParsedTensors> {
  const bytes = await readFile(path);
  const end = 8 + Number(bytes.readBigUInt64LE());
  return { header: JSON.parse(bytes.toString('utf8', 8, end)), data: bytes.subarray(end) };
}

/** @param excess what the length before the header is too large by */
export function joinTensors(header: string, data: Uint8Array, excess = 0n): Buffer {
  const text = Buffer.from(header);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt.asUintN(64, BigInt(text.length) + excess));
  return Buffer.concat([prefix, text, data]);
}
